"""The other side of one REST request: its head, its body as it comes, and its leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from kelp.errors import InvalidRequest, TooLarge
from kelp.local.upstream import Connection, Headers, end_to_end, request_head

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_OURS = frozenset({b"host", b"content-length", b"expect", b"authorization"})


class Left(Exception):
    """The caller has gone; nobody waits for an answer."""


class Caller:
    """While its block runs, the body flows to the process as fast as that takes it. If the caller leaves, or sends
    more than `limit` bytes, the block is cancelled and Left or TooLarge raised in its place."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        self._scope = scope
        self._receive = receive
        self._limit = limit
        self._length = _declared_length(scope["headers"])
        if self._length is not None and self._length > limit:
            raise TooLarge(f"the body has {self._length} bytes; this model takes {limit}")
        self._chunked = self._length is None and any(k == b"transfer-encoding" for k, _ in scope["headers"])
        self._target: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._on_sent: Callable[[], None] = _nothing
        self._failure: Exception | None = None
        self.body_sent = False

    async def __aenter__(self) -> Caller:
        task = asyncio.current_task()
        assert task is not None
        self._block = task
        self._tasks = [asyncio.create_task(self._run(self._pump))]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        self._target.cancel()
        if self._failure is not None and self._block.uncancel() == 0 and kind is asyncio.CancelledError:
            raise self._failure

    def send_to(self, connection: Connection, on_sent: Callable[[], None]) -> None:
        """Let head and body flow into `connection`; `on_sent` is called when all of it has been written."""
        self._on_sent = on_sent
        self._target.set_result(connection)

    async def _run(self, what: Callable[[], Awaitable[None]]) -> None:
        try:
            await what()
        except (Left, TooLarge) as failure:
            if self._failure is None:
                self._failure = failure
                self._block.cancel()

    async def _pump(self) -> None:
        """The first piece is taken at once, so that its end and the caller's leaving are seen while a model starts;
        the others when the process has taken what was before them."""
        so_far = 0
        connection: Connection | None = None
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Left
            more = message.get("more_body", False)
            if not more:
                self._tasks.append(asyncio.create_task(self._run(self._see_leaving)))
            body = message.get("body", b"")
            so_far += len(body)
            if so_far > self._limit:
                raise TooLarge(f"the body has more than {self._limit} bytes, which is all that this model takes")
            if connection is None:
                connection = await self._target
                body = self._head() + self._framed(body)
            else:
                body = self._framed(body)
            if not more and self._chunked:
                body += b"0\r\n\r\n"
            await connection.write(body)
        self.body_sent = True
        self._on_sent()

    async def _see_leaving(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Left

    def _framed(self, body: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(body), body) if self._chunked and body else body

    def _head(self) -> bytes:
        headers: Headers = [(b"host", b"localhost")]
        if self._length is not None:
            headers.append((b"content-length", str(self._length).encode()))
        elif self._chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        headers += [pair for pair in end_to_end(self._scope["headers"]) if pair[0] not in _OURS]
        target: bytes = self._scope["raw_path"]
        query: bytes = self._scope["query_string"]
        return request_head(self._scope["method"], target + b"?" + query if query else target, headers)


def _declared_length(headers: Headers) -> int | None:
    for name, value in headers:
        if name == b"content-length":
            if not value.isdigit():
                raise InvalidRequest("Content-Length: expected a number of bytes")
            return int(value)
    return None


def _nothing() -> None:
    return None
