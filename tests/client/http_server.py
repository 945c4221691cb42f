"""A small HTTP server for the client's tests: it answers as V2 does, and misbehaves as told, down to the socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from kelp.codec import InferRequest, InferResponse, decode_request, encode_response, header_length_of


def echo(request: InferRequest) -> InferResponse:
    return InferResponse(request.model_name, request.inputs, id=request.id)


class HttpServer:
    """`plan` has one entry for each coming request.

    An entry is "answer", "reset" (before any answer), "cut" (in the middle of one), "hang", "drip" (an answer that
    never ends), "garbage", "slow" (answers after a while) or a tuple (status, JSON or bytes, headers).
    """

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.plan: list = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.left = threading.Event()
        self.connections = 0
        self.respond: Callable[[InferRequest], InferResponse] = echo
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", port, reuse_port=True, ssl=tls))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def infers(self) -> list[InferRequest]:
        return [
            decode_request(body, header_length_of(headers.get("inference-header-content-length")))
            for method, path, headers, body in self.requests
            if path.endswith("/infer")
        ]

    def close(self) -> None:
        async def stop() -> None:
            self._server.close()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append((method, path, headers, body))
                if not await self._act(method, path, headers, body, reader, writer):
                    break
        writer.close()

    async def _act(self, method, path, headers, body, reader, writer) -> bool:
        step = self.plan.pop(0) if self.plan else "answer"
        if step == "reset":
            writer.transport.abort()
            return False
        if step == "hang":
            await reader.read(1)  # until the client goes away
            self.left.set()
            return False
        if step == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
            await writer.drain()
            return False
        if step == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
            return False
        if step == "slow":
            await asyncio.sleep(0.3)
            step = "answer"
        if step == "answer":
            status, out, extra = 200, *self._answer(method, path, headers, body)
        elif step == "garbage":
            status, out, extra = 200, [b'{"outputs": [{"name": "x"}]}'], {}
        else:
            status, content, extra = step
            out = [content if isinstance(content, bytes) else json.dumps(content).encode()]
        size = sum(map(len, out))
        lines = {**extra, "content-length": str(size)}
        writer.write(f"HTTP/1.1 {status} X\r\n".encode())
        writer.writelines([*(f"{k}: {v}\r\n".encode() for k, v in lines.items()), b"\r\n", *map(bytes, out)])
        await writer.drain()
        return True

    def _answer(self, method, path, headers, body):
        if path.endswith("/infer"):
            request = decode_request(body, header_length_of(headers.get("inference-header-content-length")))
            return encode_response(self.respond(replace(request, model_name=path.split("/")[3])), request)
        if path == "/v2/repository/index":
            return [b'[{"name": "one", "state": "READY", "reason": ""}, {"name": "two"}]'], {}
        if path.endswith("/ready"):
            return [b'{"name": "m", "ready": true}'], {}
        return [b'{"name": "m", "parameters": {"card": {"title": "M"}}}'], {}


@contextlib.contextmanager
def http_server(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
    server = HttpServer(port, tls)
    try:
        yield server
    finally:
        server.close()


def poll(condition, timeout_s: float = 10.0) -> bool:
    """Waits until `condition()` is true; False if it does not become so in time."""
    ends = time.monotonic() + timeout_s
    while time.monotonic() < ends:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())
