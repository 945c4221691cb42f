"""Reading a request's body with a limit that holds while it streams in."""

from __future__ import annotations

from starlette.types import Receive, Scope

from kelp.errors import InvalidRequest, TooLarge


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. TooLarge as soon as more than `limit` bytes are announced or arrive."""
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(f"body: expected at most {limit} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the caller left before the body was complete")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(f"body: expected at most {limit} bytes")
        if part:
            parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)
