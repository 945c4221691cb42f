"""A proxy in front of a server that spoils chosen requests: the faults of a network and of a server in trouble."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["answer", "hang", "cut_request", "cut_answer", "hold_answer", "replace_answer", "delay", "late"]
HEAD_LIMIT = 1 << 18


@dataclass(eq=False)
class Fault:
    """What happens to the next `times` requests that match."""

    kind: Kind
    method: str
    path: re.Pattern[str]
    times: int
    status: int = 500
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    after_bytes: int = 0
    seconds: float = 0.0
    skip: int = 0
    """So many matching requests pass before."""
    hits: int = 0
    cut: bool = False
    released: bool = False
    _happened: threading.Event = field(default_factory=threading.Event)

    def wait(self, deadline_s: float = 60.0) -> None:
        """Until it has happened once."""
        if not self._happened.wait(deadline_s):
            raise TimeoutError(f"no {self.method} {self.path.pattern} came within {deadline_s} s")

    def release(self) -> None:
        """Let a late request go on."""
        self.released = True

    def happened(self) -> None:
        self.hits += 1
        self._happened.set()


@dataclass(frozen=True)
class Seen:
    """A request that came through, and what was done with it ("passed" or the fault's kind)."""

    method: str
    path: str
    outcome: str


@dataclass
class _Request:
    method: str
    path: str
    head: bytes
    length: int


class FaultProxy:
    """A context manager that listens on 127.0.0.1 and passes everything on to `target`, faults aside.

    Faults are used up in the order in which they were given. A request is matched by its method ("*" is any) and by a
    regular expression that is searched for in its path and query.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.seen: list[Seen] = []
        self.url = ""

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def answer(
        self,
        status: int = 500,
        times: int = 1,
        method: str = "*",
        path: str = "",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        skip: int = 0,
    ) -> Fault:
        """Answer in the server's place; the request does not reach it."""
        fault = Fault("answer", method, re.compile(path), times, status, body, headers or {}, skip=skip)
        return self._add(fault)

    def hang(self, times: int = 1, method: str = "*", path: str = "", skip: int = 0) -> Fault:
        """Take the request and never answer; it does not reach the server."""
        return self._add(Fault("hang", method, re.compile(path), times, skip=skip))

    def cut_request(self, after_bytes: int, times: int = 1, method: str = "*", path: str = "", skip: int = 0) -> Fault:
        """Pass `after_bytes` of the request's body, then reset the connection on both sides."""
        return self._add(Fault("cut_request", method, re.compile(path), times, after_bytes=after_bytes, skip=skip))

    def cut_answer(self, times: int = 1, method: str = "*", path: str = "", skip: int = 0) -> Fault:
        """Let the server do its work, then reset the connection before its answer."""
        return self._add(Fault("cut_answer", method, re.compile(path), times, skip=skip))

    def hold_answer(self, times: int = 1, method: str = "*", path: str = "", skip: int = 0) -> Fault:
        """Let the server do its work and never pass its answer on; the connection stays open."""
        return self._add(Fault("hold_answer", method, re.compile(path), times, skip=skip))

    def replace_answer(
        self, status: int = 504, times: int = 1, method: str = "*", path: str = "", skip: int = 0
    ) -> Fault:
        """Let the server do its work, and answer something else in its place, as a gateway that gave up does."""
        return self._add(Fault("replace_answer", method, re.compile(path), times, status, skip=skip))

    def delay(self, seconds: float, times: int = 1, method: str = "*", path: str = "", skip: int = 0) -> Fault:
        """Pass the request on `seconds` later."""
        return self._add(Fault("delay", method, re.compile(path), times, seconds=seconds, skip=skip))

    def late(self, cut: bool = False, method: str = "*", path: str = "", skip: int = 0) -> Fault:
        """Take a request, and pass it on when the fault is released, whatever became of its sender meanwhile.

        `cut`: reset the sender's connection at once.
        """
        return self._add(Fault("late", method, re.compile(path), 1, skip=skip, cut=cut))

    def clear(self) -> None:
        """Forget the faults that are left; requests that hang go on hanging."""
        with self._lock:
            self._faults.clear()

    def count(self, method: str, path: str) -> int:
        """How many requests like this have come, whatever became of them."""
        return sum(item.method == method and re.search(path, item.path) is not None for item in list(self.seen))

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def _fault_for(self, request: _Request) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.method not in ("*", request.method) or not fault.path.search(request.path):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
                return fault
        return None

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=HEAD_LIMIT)

    async def _close(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (request := await _read_head(reader)) is not None:
                if not await self._serve(request, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # A client or the server went away, or the proxy closes: this connection is over.
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can be used for another request."""
        fault = self._fault_for(request)
        self.seen.append(Seen(request.method, request.path, fault.kind if fault else "passed"))
        if fault is None:
            await self._pass(request, reader, writer)
            return True
        if fault.kind == "answer":
            await reader.readexactly(request.length)
            writer.write(_answer(fault))
            await writer.drain()
            fault.happened()
            return True
        if fault.kind == "hang":
            await reader.readexactly(request.length)
            fault.happened()
            # Ends when the client gives up.
            await reader.read(1)
            return False
        if fault.kind == "late":
            return await self._pass_late(fault, request, reader, writer)
        if fault.kind == "delay":
            fault.happened()
            await asyncio.sleep(fault.seconds)
            await self._pass(request, reader, writer)
            return True
        if fault.kind in ("hold_answer", "replace_answer"):
            await self._exchange(request, reader, lambda piece: None)
            fault.happened()
            if fault.kind == "hold_answer":
                await reader.read(1)
                return False
            writer.write(_answer(fault))
            await writer.drain()
            return True
        if fault.kind == "cut_request":
            await self._cut(request, min(fault.after_bytes, request.length), reader)
        else:
            await self._exchange(request, reader, lambda piece: None)
        fault.happened()
        writer.transport.abort()
        return False

    async def _pass(self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._exchange(request, reader, writer.write)
        await writer.drain()

    async def _pass_late(
        self, fault: Fault, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        body = await reader.readexactly(request.length)
        if fault.cut:
            writer.transport.abort()
        fault.happened()
        while not fault.released:
            await asyncio.sleep(0.01)
        whole = asyncio.StreamReader()
        whole.feed_data(body)
        await self._exchange(request, whole, lambda piece: None if fault.cut else writer.write(piece))
        return not fault.cut

    async def _exchange(self, request: _Request, reader: asyncio.StreamReader, sink: Callable[[bytes], None]) -> None:
        """One request on a connection of its own; the answer goes to `sink` as it comes."""
        upstream, back = await asyncio.open_connection(*self._target)
        try:
            back.write(request.head)
            left = request.length
            while left:
                piece = await reader.read(min(left, 1 << 16))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", left)
                back.write(piece)
                await back.drain()
                left -= len(piece)
            while piece := await upstream.read(1 << 16):
                sink(piece)
        finally:
            back.close()

    async def _cut(self, request: _Request, size: int, reader: asyncio.StreamReader) -> None:
        _, back = await asyncio.open_connection(*self._target)
        back.write(request.head + await reader.readexactly(size))
        await back.drain()
        back.close()


async def _read_head(reader: asyncio.StreamReader) -> _Request | None:
    """The next request of a connection, its body not read yet; None at the end."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = [line.partition(":") for line in lines]
    named = {name.lower(): value.strip() for name, _, value in headers}
    if "transfer-encoding" in named:
        raise OSError("the fault proxy takes requests with a Content-Length only")
    # One request a connection upstream: its end is then the end of the answer.
    kept = [f"{name}:{value}" for name, _, value in headers if name.lower() != "connection"]
    head = "\r\n".join([first, *kept, "Connection: close", "", ""]).encode("latin-1")
    return _Request(method, path, head, int(named.get("content-length", "0")))


def _answer(fault: Fault) -> bytes:
    headers = {"Content-Type": "text/html", **fault.headers, "Content-Length": str(len(fault.body))}
    lines = [f"HTTP/1.1 {fault.status} Fault", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + fault.body
