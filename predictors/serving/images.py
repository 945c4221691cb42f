"""Encoded images → RGB pixels: size checked before a pixel is decoded, turned upright as CVAT turns them.

JPEG goes through OpenCV (about three times as fast as Pillow, with the same pixels), everything else through Pillow.
Both release the GIL while they decode.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from kelp.errors import InvalidImage

FORMATS = ("JPEG", "PNG", "WebP", "TIFF", "BMP")
Encoded = bytes | bytearray | memoryview
_ORIENTATION = 0x0112  # EXIF 2.3, table 4: the tag of IFD0 that says how the camera was held
_UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], Any]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}

# A broken image is the caller's error and is told so; what libjpeg and OpenCV would print to stderr is no log line.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class EncodedImage:
    """An image whose header has been read. `pixels`: how many it decodes to (what a budget should hold for it)."""

    def __init__(self, data: Encoded, max_pixels: int) -> None:
        """Raises InvalidImage: not one of FORMATS, a broken header, or more than `max_pixels`."""
        self._data = data
        self._open = _opened(data)
        width, height = self._open.size
        self.pixels = width * height
        if self.pixels < 1:
            raise InvalidImage(f"the image is {width}x{height} pixels")
        if self.pixels > max_pixels:
            raise InvalidImage(
                f"the image is {width}x{height} = {self.pixels} pixels, over the limit of {max_pixels}",
                code="too_many_pixels",
            )

    def to_rgb(self) -> NDArray[np.uint8]:
        """uint8 [H, W, 3] RGB, upright. Raises InvalidImage where the data is truncated or damaged.

        Gray of more than 8 bits is stretched from its own darkest to its brightest value, as CVAT shows it; of colour
        with 16 bits the upper 8 are kept; CMYK, palettes and YCbCr are converted; transparency is dropped.
        """
        try:
            orientation = self._orientation()
            pixels = self._jpeg() if self._open.format == "JPEG" and self._open.mode in ("RGB", "L") else None
            if pixels is None:
                self._open.load()
                pixels = _rgb_of(self._open)
        except MemoryError:
            raise
        # Pillow's decoders raise whatever the damage leads to: OSError, SyntaxError, struct.error, zlib.error…
        except Exception as error:
            raise InvalidImage(f"the image cannot be decoded: {_reason(error)}") from None
        turn = _UPRIGHT.get(orientation, _as_it_is)
        upright: NDArray[np.uint8] = np.ascontiguousarray(turn(pixels))
        return upright

    def to_mask(self) -> NDArray[np.uint8]:
        """uint8 [H, W], 0 or 1: where the image (palette indices, for a palette) is not zero. Raises InvalidImage."""
        try:
            self._open.load()
            image = self._open if self._open.mode in ("1", "L", "P", "I", "I;16", "I;16B") else self._open.convert("L")
            mask: NDArray[np.uint8] = (np.asarray(image) != 0).astype(np.uint8)
        except MemoryError:
            raise
        except Exception as error:  # as above
            raise InvalidImage(f"the mask cannot be decoded: {_reason(error)}") from None
        return mask

    def _orientation(self) -> int:
        # Pillow has already turned a TIFF where it loads one, and says 1 then.
        if self._open.format == "TIFF":
            self._open.load()
        value = self._open.getexif().get(_ORIENTATION, 1)
        return value if isinstance(value, int) else 1

    def _jpeg(self) -> NDArray[np.uint8] | None:
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        return cv2.imdecode(np.frombuffer(self._data, np.uint8), flags)  # type: ignore[return-value]


def _as_it_is(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels


def _rgb_of(image: ImageFile.ImageFile) -> NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):
        return cv2.cvtColor(_stretched(np.asarray(image)), cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]
    return np.array(image.convert("RGB"))


def _stretched(gray: NDArray[Any]) -> NDArray[np.uint8]:
    """Any gray [H, W] → uint8 [H, W], its finite range stretched to 0..255 (a single value becomes 0)."""
    values = np.nan_to_num(gray.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    stretched: NDArray[np.uint8] = np.rint((values - low) * scale).astype(np.uint8)
    return stretched


def _opened(data: Encoded) -> ImageFile.ImageFile:
    """The plugin's own class instead of Image.open: no search through forty formats, and our pixel limit, not its."""
    plugin = _plugin_of(bytes(data[:12]))
    if plugin is None:
        raise InvalidImage(f"not an image; expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    try:
        return plugin(io.BytesIO(data))
    except (SyntaxError, IndexError, TypeError, KeyError, ValueError, OSError, EOFError, struct.error) as error:
        raise InvalidImage(f"the image's header cannot be read: {_reason(error)}") from None


def _plugin_of(magic: bytes) -> type[ImageFile.ImageFile] | None:
    if magic.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if magic.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if magic.startswith(b"RIFF") and magic[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if magic.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImagePlugin.TiffImageFile
    if magic.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile
    return None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:200] if text else type(error).__name__
