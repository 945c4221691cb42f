"""uvicorn as the HTTP server under the REST edge."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

KEEP_ALIVE_S = 75
"""How long an idle connection is kept: longer than the clients of a pool or a mesh keep theirs."""

_CLOSING_S = 5


class _Protocol(HttpToolsProtocol):
    """V2's error object also for what is not HTTP; and the rest of a refused body is not read for ever."""

    discard_limit = 0
    _discarded = 0

    def on_message_begin(self) -> None:
        self._discarded = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            # Answered already, too large for example: a caller that goes on sending is let finish, within reason, so
            # that it reads the answer and can use the connection again.
            self._discarded += len(body)
            if self._discarded > self.discard_limit:
                self.transport.abort()
            return
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        body = orjson.dumps({"error": msg, "code": "invalid_request"})
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()


class RestServer(Server):
    """uvicorn's server on a socket that is bound already; signals are the process's own business."""

    def __init__(self, app: Any, bound: socket.socket, body_limit: int) -> None:
        protocol = type("Protocol", (_Protocol,), {"discard_limit": 2 * body_limit})
        super().__init__(
            Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=_CLOSING_S,
                backlog=2048,
            )
        )
        self._bound = bound
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def run_bound(self) -> None:
        """Serve until `should_exit` is set; then the answers under way are finished."""
        await self.serve(sockets=[self._bound])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
