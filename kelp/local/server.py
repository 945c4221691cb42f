"""uvicorn under the endpoint: on a socket that is open already, with V2's error object for what is not HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

KEEP_ALIVE_S = 75
DRAIN_S = 30
"""How long requests under way may take when the process stops."""


class _Protocol(HttpToolsProtocol):
    """After a refusal the caller may go on sending for a while, so that it reads the answer; not for ever."""

    discard_limit = 0
    _discarded = 0

    def on_message_begin(self) -> None:
        self._discarded = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        if not self.cycle.response_complete:
            return super().on_body(body)
        self._discarded += len(body)
        if self._discarded > self.discard_limit:
            self.transport.abort()
        return None

    def send_400_response(self, msg: str) -> None:
        body = json.dumps({"error": msg, "code": "invalid_request"}).encode()
        head = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()


class EndpointServer(Server):
    """Serves `app` on `sock`; signals are the process's own business. `body_limit`: bytes of the largest body."""

    def __init__(self, app: Any, sock: socket.socket, body_limit: int) -> None:
        super().__init__(
            Config(
                app,
                http=type("Protocol", (_Protocol,), {"discard_limit": 2 * body_limit}),
                ws="none", lifespan="off", interface="asgi3", loop="none", log_config=None, access_log=False,
                server_header=False, date_header=False, timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=DRAIN_S,
            )
        )  # fmt: skip
        self._sock = sock
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def run_bound(self) -> None:
        """Serve until `should_exit` is set; answers under way are finished."""
        await self.serve(sockets=[self._sock])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
