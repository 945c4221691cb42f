"""A small HTTP/1.1 client for models' processes on this machine: bodies stream both ways, nothing is kept in memory.

One connection carries one request at a time; those that may be used again wait in a pool, a pool for each process.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import cast

import httptools

Headers = list[tuple[bytes, bytes]]
_HIGH_WATER = 1 << 20  # bytes of an answer that wait to be passed on before reading stops
_IDLE_S = 2.0  # a server closes idle connections after a while; well before that we do


class Broken(Exception):
    """The connection ended before the answer did."""


class Connection(asyncio.Protocol):
    """One connection to a model's process."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._arrived = asyncio.Event()
        self._error: Exception | None = None
        self._reset()
        self.idle_since = 0.0

    def _reset(self) -> None:
        self._headers: Headers = []
        self._head: tuple[int, Headers] | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._complete = False
        self._keep = True
        self._paused = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._error = Broken(f"not HTTP: {error}")
            self._transport.abort()
        if self._buffered > _HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> None:
        self._keep = False

    def connection_lost(self, error: Exception | None) -> None:
        self._keep = False
        if not self._complete:
            self._error = self._error or Broken(str(error) if error else "the connection was closed")
        self._may_write.set()
        self._arrived.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:  # an interim answer (100, 103) is followed by the real one
            self._head = (status, self._headers)
            self._keep = self._parser.should_keep_alive()
        self._headers = []

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._complete = True

    # What the proxy calls.

    async def write(self, data: bytes) -> None:
        """Send; waits while the other side does not read. What it answers is found by `head`."""
        if self._error is not None or self._complete:
            return  # it has answered already, and does not want the rest
        self._transport.write(data)
        await self._may_write.wait()

    @property
    def answered(self) -> bool:
        return self._head is not None

    async def head(self) -> tuple[int, Headers]:
        """Status and headers of the answer. Broken where the connection ends first."""
        while self._head is None:
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()
        return self._head

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Broken where it ends too early."""
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                self._buffered -= len(chunk)
                if self._paused and self._buffered <= _HIGH_WATER // 2:
                    self._paused = False
                    self._transport.resume_reading()
                yield chunk
            elif self._complete:
                return
            elif self._error is not None:
                raise self._error
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def reusable(self) -> bool:
        return self._complete and self._keep and not self._transport.is_closing()

    def renew(self) -> None:
        """Make ready for the next request."""
        self._parser = httptools.HttpResponseParser(self)
        self._reset()
        self.idle_since = time.monotonic()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.abort()


class Pool:
    """Connections to one process on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    async def take(self) -> Connection:
        """A connection that nobody uses. OSError where the process does not listen."""
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closing() and now - connection.idle_since < _IDLE_S:
                return connection
            self._drop(connection)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self._port)
        self._open.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next request, if its answer has come whole and nothing speaks against it."""
        if connection in self._open and connection.reusable():
            connection.renew()
            self._idle.append(connection)
        else:
            self._drop(connection)

    def close(self) -> None:
        """Break all connections, those in use as well."""
        for connection in tuple(self._open):
            self._drop(connection)
        self._idle.clear()

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()


def request_head(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a request as it goes over the wire; `headers` include Host and the body's framing."""
    lines = [b"%s %s HTTP/1.1\r\n" % (method.encode("ascii"), target)]
    lines += [b"%s: %s\r\n" % pair for pair in headers]
    lines.append(b"\r\n")
    return b"".join(lines)


async def get(pool: Pool, path: str) -> tuple[int, bytes]:
    """Status and body of a small GET. OSError or Broken where there is no answer."""
    connection = await pool.take()
    try:
        await connection.write(request_head("GET", path.encode("ascii"), [(b"Host", b"localhost")]))
        status, _ = await connection.head()
        parts = [chunk async for chunk in connection.chunks()]
    finally:
        pool.give_back(connection)
    return status, b"".join(parts)


# RFC 9110, 7.6.1: these are about one connection, not about the message.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
     b"proxy-authenticate", b"proxy-authorization"}
)  # fmt: skip


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """`headers`, names in lower case, without those of the connection and those that `Connection` names."""
    lower = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for k, value in lower if k == b"connection" for token in value.split(b",")}
    return [pair for pair in lower if pair[0] not in _HOP_BY_HOP and pair[0] not in named]
