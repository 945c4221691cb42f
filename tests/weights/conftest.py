"""A real HTTP server with ranges whose connections can be cut, and weights to serve."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from kelp.card import Card

CHANGED = "Mon, 02 Nov 2026 10:00:00 GMT"


class FileServer(ThreadingHTTPServer):
    """Serves `files`; `cut_after` bytes of a body the connection is reset, `cuts` times in all."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.cut_after = 0
        self.cuts = 0
        self.with_ranges = True
        self.etags = True
        self.answers: list[int] = []  # statuses to answer first, before serving
        self.seen: list[SimpleNamespace] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        body = self.server.files[unquote(self.path)]
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        self._plain(200, {"Content-Length": str(len(body)), "ETag": tag, "Last-Modified": CHANGED})

    def do_GET(self) -> None:
        server = self.server
        server.seen.append(SimpleNamespace(path=self.path, headers=dict(self.headers)))
        if server.answers:
            return self._plain(server.answers.pop(0))
        body = server.files.get(unquote(self.path.partition("?")[0]))
        if body is None:
            return self._plain(404)
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        start, status = 0, 200
        span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if span and server.with_ranges and self.headers.get("If-Range", tag) == tag:
            start, status = int(span[1]), 206
            if start >= len(body):
                return self._plain(416, {"Content-Range": f"bytes */{len(body)}"})
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) - start))
        if server.etags:
            self.send_header("ETag", tag)
            self.send_header("Last-Modified", CHANGED)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        rest = body[start:]
        if server.cut_after and server.cuts > 0 and len(rest) > server.cut_after:
            server.cuts -= 1
            self.wfile.write(rest[: server.cut_after])
            self.wfile.flush()
            self.close_connection = True
            return None
        self.wfile.write(rest)
        return None

    def _plain(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def make_card():
    def make(uri: str, sha256: str | None = None, files: dict[str, dict[str, str]] | None = None) -> Card:
        weights: dict[str, object] = {"uri": uri}
        if sha256:
            weights["sha256"] = sha256
        if files:
            weights["files"] = files
        return Card.model_validate({"name": "reef", "runtime": "yolo", "task": "segment", "weights": weights})

    return make
