"""Reading a request's body from ASGI: never more of it than the limit, and in one piece of memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import numpy as np

from kelp.codec import Buffer
from kelp.errors import TooLarge, TooLate
from predictors.serving.dataplane import CallerLeft

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Headers = Iterable[tuple[bytes, bytes]]


def announced_length(headers: Mapping[bytes, bytes], limit: int) -> int | None:
    """What Content-Length says; None where it is missing (chunks). TooLarge above `limit`, before a byte is read."""
    text = headers.get(b"content-length")
    if text is None:
        return None
    length = int(text)  # the HTTP parser lets nothing but digits through
    if length > limit:
        raise _too_large(limit)
    return length


async def read_body(receive: Receive, length: int | None, limit: int, timeout_s: float) -> Buffer:
    """The whole body. TooLarge as soon as it is over `limit`; TooLate when it takes too long; CallerLeft."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive, length, limit)
    except TimeoutError:
        raise TooLate(f"the request's body did not arrive within {timeout_s:g} s") from None


async def _read(receive: Receive, length: int | None, limit: int) -> Buffer:
    first = await _next(receive)
    body: bytes = first.get("body", b"")
    if not first.get("more_body", False):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    return await (_chunks(receive, body, limit) if length is None else _sized(receive, body, length))


async def _sized(receive: Receive, body: bytes, length: int) -> Buffer:
    # Not zeroed, and its pages come as they are written: a claim of 64 MiB costs nothing by itself.
    whole = np.empty(length, np.uint8).data
    place, more = 0, True
    while True:
        whole[place : place + len(body)] = body
        place += len(body)
        if not more:
            break
        message = await _next(receive)
        body, more = message.get("body", b""), message.get("more_body", False)
    return whole[:place]


async def _chunks(receive: Receive, body: bytes, limit: int) -> Buffer:
    parts, size, more = [body], len(body), True
    while more:
        message = await _next(receive)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _next(receive: Receive) -> Mapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerLeft
    return message


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the request's body is over the limit of {limit} bytes")
