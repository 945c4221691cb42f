"""What a new picture keeps of the file that it was made from: date and place (Exif), and the meaning of its colours.

Formats: Exif 2.32 (CIPA DC-008), ICC.1:2022 annex B, JPEG (ITU-T T.81), PNG (W3C, third edition).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_DATE = 0x0132
# DateTimeOriginal, DateTimeDigitized, their offsets from UTC and fractions of a second.
_DATES = (0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292)
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_SEGMENT_BYTES = 65_533
_ICC_MARK = b"ICC_PROFILE\0"


def carry_over(source: bytes, made: bytes) -> bytes:
    """`made` (a JPEG or PNG of RGB pixels) with date, GPS and RGB colour profile of `source`, as far as it has them.

    The pixels stay as they are. Whatever else a file says about its picture, its size and turn above all, is not true
    of the new one.
    """
    exif, profile = _kept(source)
    if made.startswith(_JPEG):
        # Behind JFIF's own segment, where there is one.
        head = 4 + int.from_bytes(made[4:6], "big") if made[2:4] == b"\xff\xe0" else 2
        return made[:head] + _exif_segment(exif) + _profile_segments(profile) + made[head:]
    if made.startswith(_PNG):
        chunks = _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)) if profile else b""
        chunks += _chunk(b"eXIf", exif) if exif else b""
        head = len(_PNG) + 25  # the signature and IHDR, which is always the first chunk
        return made[:head] + chunks + made[head:] if chunks else made
    return made


def _kept(source: bytes) -> tuple[bytes, bytes]:
    """Exif (a TIFF structure) of what is kept, and the ICC profile; each empty where there is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(source)) as image:
            raw, profile = image.info.get("exif"), image.info.get("icc_profile") or b""
            exif = Image.Exif()
            if raw:
                exif.load(raw)
            elif image.format == "TIFF":
                exif = image.getexif()
            kept = _small(Image.Exif(), exif)
    except Exception:
        # A camera or a program may have written it wrongly in any way: that is no reason to lose the picture.
        return b"", b""
    return kept, profile if profile[16:20] == b"RGB " else b""


def _small(new: Any, exif: Any) -> bytes:
    """The tags that are kept of `exif` as bytes."""
    own: Mapping[int, Any] = exif.get_ifd(_EXIF_IFD)
    place: Mapping[int, Any] = exif.get_ifd(_GPS_IFD)
    if _DATE in exif:
        new[_DATE] = exif[_DATE]
    if dates := {tag: own[tag] for tag in _DATES if tag in own}:
        new[_EXIF_IFD] = dates
    if place:
        new[_GPS_IFD] = dict(place)
    return new.tobytes().removeprefix(b"Exif\0\0") if len(new) else b""


def _exif_segment(exif: bytes) -> bytes:
    body = b"Exif\0\0" + exif
    return _segment(0xE1, body) if exif and len(body) <= _SEGMENT_BYTES else b""


def _profile_segments(profile: bytes) -> bytes:
    room = _SEGMENT_BYTES - len(_ICC_MARK) - 2
    parts = [profile[start : start + room] for start in range(0, len(profile), room)]
    if len(parts) > 255:
        return b""
    return b"".join(_segment(0xE2, _ICC_MARK + bytes((n, len(parts))) + part) for n, part in enumerate(parts, 1))


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
