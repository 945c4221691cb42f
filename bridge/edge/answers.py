"""Answers as raw ASGI messages, for the paths that must be quick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.types import Send

from kelp.errors import KelpError, NotReady, QueueFull

Header = tuple[bytes, bytes]
JSON: Header = (b"content-type", b"application/json")


async def send_json(send: Send, status: int, body: Mapping[str, Any], headers: Iterable[Header] = ()) -> None:
    await send_bytes(send, status, orjson.dumps(body), [JSON, *headers])


async def send_bytes(send: Send, status: int, body: bytes, headers: Iterable[Header]) -> None:
    all_headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: KelpError) -> None:
    headers: list[Header] = []
    if error.retry_after_s is not None or isinstance(error, (QueueFull, NotReady)):
        headers.append((b"retry-after", str(max(1, round(error.retry_after_s or 1))).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send_json(send, error.status, error.to_json(), headers)
