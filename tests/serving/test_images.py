"""Whatever an annotator uploaded must reach the model as the upright RGB pixels that CVAT shows, or be refused."""

from __future__ import annotations

import io
import zlib
from struct import pack

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from kelp.errors import InvalidImage
from predictors.serving.images import EncodedImage

LIMIT = 1_000_000


def scene(height: int = 40, width: int = 60) -> np.ndarray:
    """Smooth colours without any symmetry, so that every turn and flip shows."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + 2 * y) % 256], axis=-1).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rgb(data: bytes, limit: int = LIMIT) -> np.ndarray:
    return EncodedImage(data, limit).to_rgb()


def as_cvat(data: bytes) -> np.ndarray:
    """What CVAT makes of an 8-bit image: Pillow, upright, RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_keep_every_pixel(kind):
    assert np.array_equal(rgb(encoded(Image.fromarray(scene()), kind)), scene())


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"quality": 95}),
        ("RGB", "JPEG", {"progressive": True}),
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("CMYK", "TIFF", {}),
        ("RGB", "WEBP", {"quality": 90}),
        ("RGBA", "WEBP", {"lossless": True}),
        ("P", "PNG", {}),
        ("P", "PNG", {"transparency": 3}),
        ("P", "BMP", {}),
        ("1", "PNG", {}),
        ("1", "TIFF", {}),
        ("L", "PNG", {}),
        ("LA", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("YCbCr", "TIFF", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "jpeg"}),
    ],
)
def test_every_mode_becomes_the_rgb_that_cvat_shows(mode, kind, options):
    data = encoded(Image.fromarray(scene()).convert(mode), kind, **options)
    image = rgb(data)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert np.array_equal(image, as_cvat(data))


def test_an_adobe_cmyk_jpeg_is_not_inverted():
    white = encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG")
    assert rgb(white).min() > 250


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_to_the_pixels(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(scene()), kind, exif=exif.tobytes())
    image = rgb(data)
    assert image.shape[:2] == ((60, 40) if orientation > 4 else (40, 60))
    assert np.array_equal(image, as_cvat(data))


def test_an_orientation_that_makes_no_sense_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 77
    assert rgb(encoded(Image.fromarray(scene()), "JPEG", exif=exif.tobytes())).shape == (40, 60, 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_gray_is_stretched_rather_than_clipped(kind):
    # 12-bit camera data in a 16-bit file: its upper byte alone would be nearly black.
    values = np.linspace(100, 4095, 40 * 60).reshape(40, 60).astype(np.uint16)
    image = rgb(encoded(Image.fromarray(values), kind))
    assert image.shape == (40, 60, 3)
    assert (image.min(), image.max()) == (0, 255)
    assert (np.diff(image[..., 0].reshape(-1).astype(int)) >= 0).all()


def test_sixteen_bit_colour_keeps_its_upper_byte():
    deep = scene().astype(np.uint16) * 257
    ok, data = cv2.imencode(".png", deep[..., ::-1])
    assert ok
    assert np.array_equal(rgb(data.tobytes()), scene())


def test_float_tiff_is_stretched_and_survives_nan():
    values = np.linspace(-1, 1, 40 * 60, dtype=np.float32).reshape(40, 60)
    values[0, 0] = np.nan
    image = rgb(encoded(Image.fromarray(values), "TIFF"))
    assert (image.min(), image.max()) == (0, 255)


def test_a_constant_sixteen_bit_image_divides_by_nothing():
    assert rgb(encoded(Image.fromarray(np.full((4, 4), 900, np.uint16)), "PNG")).max() == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("keep", [0.02, 0.3, 0.6, 0.97])
def test_a_truncated_file_is_refused(kind, keep):
    data = encoded(Image.fromarray(scene(200, 300)), kind)
    with pytest.raises(InvalidImage):
        rgb(data[: int(len(data) * keep)])


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"not an image at all", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"II*\0", b"BM"],
)
def test_what_is_no_image_is_refused(data):
    with pytest.raises(InvalidImage):
        rgb(data)


def test_other_formats_are_refused_by_name():
    with pytest.raises(InvalidImage, match=r"JPEG, PNG, WebP, TIFF or BMP"):
        rgb(encoded(Image.fromarray(scene()), "GIF"))


def png_claiming(width: int, height: int) -> bytes:
    """A few hundred bytes that claim to be an image of any size."""

    def chunk(tag: bytes, body: bytes) -> bytes:
        return pack(">I", len(body)) + tag + body + pack(">I", zlib.crc32(tag + body))

    header = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_from_its_header(size):
    with pytest.raises(InvalidImage, match="over the limit") as caught:
        EncodedImage(png_claiming(*size), LIMIT)
    assert caught.value.code == "too_many_pixels"


def test_the_limit_itself_is_allowed():
    data = encoded(Image.fromarray(scene()), "PNG")
    assert EncodedImage(data, 40 * 60).pixels == 40 * 60
    with pytest.raises(InvalidImage):
        EncodedImage(data, 40 * 60 - 1)


def test_damage_inside_a_png_is_refused():
    data = bytearray(encoded(Image.fromarray(scene(200, 300)), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(InvalidImage):
        rgb(bytes(data))


def test_an_icc_profile_does_not_disturb():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(Image.fromarray(scene()), "PNG", icc_profile=profile)
    assert np.array_equal(rgb(data), scene())


def test_any_buffer_will_do():
    data = encoded(Image.fromarray(scene()), "PNG")
    for view in (memoryview(data), bytearray(data), memoryview(b"x" + data)[1:]):
        assert np.array_equal(rgb(view), scene())


def test_a_mask_is_where_the_image_is_not_zero():
    truth = np.zeros((10, 12), np.uint8)
    truth[2:5, 3:7] = 1
    for image in (
        Image.fromarray(truth * 255),
        Image.fromarray(truth * 7),
        Image.fromarray(truth.astype(bool)),
        Image.fromarray(truth.astype(np.uint16) * 300),
        Image.fromarray(np.stack([truth * 200] * 3, axis=-1)),
    ):
        assert np.array_equal(EncodedImage(encoded(image, "PNG"), LIMIT).to_mask(), truth), image.mode


def test_a_palette_mask_counts_indices_rather_than_colours():
    mask = Image.new("P", (4, 4), 0)
    mask.putpalette([255, 255, 255] + [0, 0, 0] * 255)
    mask.putpixel((1, 2), 5)
    got = EncodedImage(encoded(mask, "PNG"), LIMIT).to_mask()
    assert got.sum() == 1
    assert got[2, 1] == 1
