"""A quadrat cut out of its photograph, as an encoded picture."""

from __future__ import annotations

import cv2
import numpy as np

from bridge.tasks.carry import carry_over
from kelp.geometry.quadrat import crop_quadrat

_SUFFIX = {"jpeg": ".jpg", "png": ".png"}
# As many as a model takes.
MOST_PIXELS = 100_000_000


class Unusable(Exception):
    """This frame cannot be used; the text says why."""


def crop(image: bytes, corners: list[float], size_hw: tuple[int, int], *, size: int, form: str, quality: int) -> bytes:
    """The quadrat in `image` (an encoded file of `size_hw`, height and width, as CVAT knows it) as a square of `size`
    pixels, jpeg or png, with date and place of the photograph. `corners`: x, y of each in pixels, clockwise from the
    upper left one. Unusable where the file is broken or not what CVAT says.
    """
    if size_hw[0] * size_hw[1] > MOST_PIXELS:
        raise Unusable(f"{size_hw[1]}x{size_hw[0]} pixels are more than {MOST_PIXELS // 1_000_000} million")
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise Unusable("the file is no picture that can be read")
    if pixels.shape[:2] != size_hw:
        raise Unusable(f"the file has {pixels.shape[1]}x{pixels.shape[0]} pixels, CVAT says {size_hw[1]}x{size_hw[0]}")
    try:
        square = crop_quadrat(np.asarray(pixels, np.uint8), np.array(corners, np.float64).reshape(-1, 2), size)
    except ValueError as error:
        raise Unusable(str(error)) from None
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if form == "jpeg" else []
    done, data = cv2.imencode(_SUFFIX[form], square, options)
    if not done:
        raise Unusable("the new picture could not be encoded")
    return carry_over(image, data.tobytes())
