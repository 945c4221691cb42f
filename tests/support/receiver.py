"""A receiver of webhooks that writes down what it gets and answers as told."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tests.support.cvat import DEADLINE_S


@dataclass(frozen=True)
class Received:
    """One request to the receiver."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def event(self) -> str | None:
        return self.json.get("event") if self.body else None

    def signed_with(self, secret: str) -> bool:
        expected = f"sha256={hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()}"
        return hmac.compare_digest(expected, self.headers.get("x-signature-256", ""))


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    close: bool = False
    """Close the connection without an answer."""


class Receiver:
    """A context manager; `answer` decides on each request (200 "ok" where nothing is said)."""

    def __init__(self, answer: Callable[[Received], Answer] | None = None, host: str = "127.0.0.1") -> None:
        self.received: list[Received] = []
        self.answer = answer or (lambda received: Answer())
        self._changed = threading.Condition()
        self._closing = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                outer._handle(self)

            do_POST = do_GET = handle_any

            def log_message(self, format: str, *values: Any) -> None:
                """Stay silent."""

        self._server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, enough: Callable[[list[Received]], bool], deadline_s: float = DEADLINE_S) -> list[Received]:
        """What has been received, once `enough` says so."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self.received), deadline_s):
                raise TimeoutError(f"received only {[(item.path, item.event) for item in self.received]}")
            return list(self.received)

    def events(self) -> list[str | None]:
        return [item.event for item in list(self.received)]

    def _handle(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        item = Received(handler.command, handler.path, headers, body, time.time())
        answer = self.answer(item)
        with self._changed:
            self.received.append(item)
            self._changed.notify_all()
        self._closing.wait(answer.after_s)
        handler.close_connection = True
        if answer.close:
            return
        try:
            handler.send_response(answer.status)
            for name, value in {"Connection": "close", **answer.headers}.items():
                handler.send_header(name, value)
            content = b"" if answer.status == 204 else answer.body
            if answer.status != 204:
                handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
        except OSError:
            # Whoever asked has stopped waiting.
            return
