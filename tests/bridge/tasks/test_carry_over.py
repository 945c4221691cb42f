"""What a new picture keeps of its photograph, and that nothing else is true of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from bridge.tasks.carry import carry_over
from bridge.tasks.picture import Unusable, crop
from tests.support.quadrats import CORNERS, DATE, HEIGHT, LATITUDE, WIDTH, opened, photograph, quarters_of

SIZE_HW = (HEIGHT, WIDTH)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def cropped(image: bytes, form: str = "jpeg") -> bytes:
    return crop(image, list(CORNERS), SIZE_HW, size=64, form=form, quality=95)


@pytest.mark.parametrize("form", ["jpeg", "png"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
def test_date_and_place_go_from_any_form_into_any_other(source: str, form: str) -> None:
    made = cropped(photograph(0, source), form)
    exif = opened(made).getexif()
    assert exif.get_ifd(0x8769) == {0x9003: DATE}
    assert exif.get_ifd(0x8825)[2] == LATITUDE
    assert set(exif) == {0x8769, 0x8825}
    assert quarters_of(made) == [0, 1, 2, 3]


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_the_colours_keep_their_meaning(form: str) -> None:
    buffer = io.BytesIO()
    opened(photograph()).save(buffer, "JPEG", icc_profile=SRGB * 200)  # of several segments
    made = opened(cropped(buffer.getvalue(), form))
    assert made.info["icc_profile"] == SRGB * 200
    grey = io.BytesIO()
    profile = bytearray(SRGB)
    profile[16:20] = b"GRAY"
    opened(photograph()).convert("L").save(grey, "JPEG", icc_profile=bytes(profile))
    assert "icc_profile" not in opened(cropped(grey.getvalue(), form)).info  # the crop is RGB


def test_a_picture_without_any_stays_as_it_is() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    assert carry_over(buffer.getvalue(), buffer.getvalue()) == buffer.getvalue()
    assert carry_over(b"no picture", buffer.getvalue()) == buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("seed", range(20))
def test_a_broken_description_of_a_photograph_never_costs_the_picture(seed: int) -> None:
    random = np.random.default_rng(seed)
    image = bytearray(photograph())
    start = image.index(b"Exif\0\0") + 6
    for place in random.integers(start, start + 200, 30):
        image[place] = random.integers(0, 256)
    assert opened(cropped(bytes(image))).size == (64, 64)


@pytest.mark.parametrize(
    ("image", "size_hw", "says"),
    [
        (b"no picture", SIZE_HW, "no picture that can be read"),
        (photograph()[:400], SIZE_HW, "no picture that can be read"),
        (photograph(), (HEIGHT, WIDTH + 1), "the file has 320x240 pixels, CVAT says 321x240"),
        (photograph(), (20_000, 20_000), "more than 100 million"),
    ],
)
def test_a_file_that_is_not_what_cvat_says_is_told(image: bytes, size_hw: tuple[int, int], says: str) -> None:
    with pytest.raises(Unusable, match=says):
        crop(image, list(CORNERS), size_hw, size=64, form="jpeg", quality=95)
