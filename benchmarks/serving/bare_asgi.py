"""uvicorn with the same HTTP parser and event loop, around an application that reads the body and says so."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        application, port=int(sys.argv[1]), http="httptools", loop="uvloop", lifespan="off", log_level="error",
        access_log=False,
    )  # fmt: skip
