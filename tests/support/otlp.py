"""An OTLP receiver over HTTP, as a collector is one: it keeps the spans that processes send."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.predictor import wait_for


@dataclass(frozen=True)
class Seen:
    """A span as it was sent; ids in hexadecimal, times in nanoseconds since 1970. parent: empty for a root."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: int
    started: int
    ended: int
    failed: bool
    attributes: Mapping[str, Any]


class Collector:
    """Listens on a free port of this machine. `env`: what makes a process send its spans here, soon."""

    def __init__(self) -> None:
        self.raw = b""
        self._spans: list[Seen] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                fits = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
                if fits:
                    collector._take(body)
                self.send_response(200 if fits else 400)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def env(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self._server.server_port}"
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50"}

    @property
    def spans(self) -> list[Seen]:
        with self._lock:
            return list(self._spans)

    def named(self, name: str, **attributes: Any) -> list[Seen]:
        """Spans of that name; `attributes` with `_` for `.`."""
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        return [s for s in self.spans if s.name == name and wanted.items() <= dict(s.attributes).items()]

    def wait(self, name: str, count: int = 1, timeout_s: float = 30.0, **attributes: Any) -> list[Seen]:
        """The spans of that name once there are `count`."""
        try:
            wait_for(lambda: len(self.named(name, **attributes)) >= count, timeout_s, every_s=0.05)
        except AssertionError:
            names = [(s.service, s.name, dict(s.attributes)) for s in self.spans]
            raise AssertionError(f"no {count} spans {name} {attributes}; there are {names}") from None
        return self.named(name, **attributes)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _take(self, body: bytes) -> None:
        message = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.raw += body
            for of_process in message.resource_spans:
                service = _values(of_process.resource.attributes)["service.name"]
                for of_scope in of_process.scope_spans:
                    self._spans += [_seen(service, span) for span in of_scope.spans]


def _seen(service: str, span: Any) -> Seen:
    return Seen(
        service, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.kind,
        span.start_time_unix_nano, span.end_time_unix_nano, span.status.code == 2, _values(span.attributes),
    )  # fmt: skip


def _values(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(v) for v in value.array_value.values] if kind == "array_value" else getattr(value, kind)
