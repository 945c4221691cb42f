"""Bodies that came compressed (`Content-Encoding`, RFC 9110, 8.4): unfolded within the limit of a plain one."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from kelp.codec import Buffer
from kelp.errors import InvalidRequest, TooLarge

_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


class UnsupportedEncoding(InvalidRequest):
    status = 415
    default_code = "unsupported_encoding"


def encoding_of(headers: Mapping[bytes, bytes]) -> str:
    """`gzip`, `deflate`, or empty for a plain body. UnsupportedEncoding for any other."""
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    if encoding in _WINDOWS:
        return encoding
    if encoding not in ("", "identity"):
        raise UnsupportedEncoding(f"Content-Encoding: expected gzip, deflate or none, got {encoding[:40]!r}")
    return ""


def unfolded(body: Buffer, encoding: str, limit: int) -> Buffer:
    """`body` as it was before it was compressed. TooLarge as soon as it unfolds to more than `limit` bytes;
    InvalidRequest where it is not of that encoding, or ends too early."""
    if not encoding:
        return body
    parts: list[bytes] = []
    rest: Buffer = body
    left = limit + 1
    try:
        while len(rest):  # gzip allows several members, one after the other
            stream = zlib.decompressobj(_WINDOWS[encoding])
            parts.append(stream.decompress(rest, left))
            left -= len(parts[-1])
            if left <= 0:
                raise TooLarge(f"the request's body unfolds to more than the limit of {limit} bytes")
            if not stream.eof:
                raise InvalidRequest(f"body: {encoding} that ends too early")
            rest = stream.unused_data
    except zlib.error as error:
        raise InvalidRequest(f"body: not {encoding} ({error})") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)
