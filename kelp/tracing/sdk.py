"""OpenTelemetry behind `kelp.tracing`: imported only where tracing is on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from kelp import __version__
from kelp.errors import KelpError
from kelp.tracing import HEADER, Attribute, Finished, Kind, Span

_KINDS = {"internal": trace.SpanKind.INTERNAL, "server": trace.SpanKind.SERVER, "client": trace.SpanKind.CLIENT}
_W3C = TraceContextTextMapPropagator()
_given_id: ContextVar[int] = ContextVar("span_id", default=0)


class Tracing:
    """Spans of one process, sent in the background to the configured OTLP endpoint, protobuf over HTTP.

    OpenTelemetry's own variables hold: sampling, headers, certificates, time-outs, resource attributes.
    """

    def __init__(self, service: str) -> None:
        attributes = {"service.version": __version__}
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        if not named:
            attributes["service.name"] = service
        resource = Resource.create(attributes)
        self._provider = TracerProvider(resource=resource, id_generator=_Ids(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("kelp", __version__)

    def stop(self, timeout_s: float) -> None:
        """Send the rest; a collector that does not answer holds nobody up for longer than `timeout_s`."""
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(timeout_s)

    @contextmanager
    def span(
        self, name: str, attributes: Mapping[str, Attribute] | None, kind: Kind, parent: str | None
    ) -> Iterator[Span]:
        above = None if parent is None else _context(parent)
        span = self._tracer.start_span(name, above, _KINDS[kind], attributes)
        live = _Live(span)
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield live
            except BaseException as error:
                live.fail(error.code if isinstance(error, KelpError) else type(error).__name__)
                raise

    @contextmanager
    def within(self, parent: str) -> Iterator[None]:
        with trace.use_span(trace.get_current_span(_context(parent)), record_exception=False):
            yield

    def record(
        self, whole: Finished, parts: Sequence[Finished], kind: Kind, parent: str | None, own: str | None
    ) -> None:
        span = self._begin(whole, _context(parent), kind, own)
        if span.is_recording():
            below = trace.set_span_in_context(span, Context())
            for part in parts:
                _end(self._begin(part, below), part)
        _end(span, whole)

    def headers(self) -> Mapping[str, str]:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier

    def _begin(self, finished: Finished, above: Context, kind: Kind = "internal", own: str | None = None) -> trace.Span:
        token = _given_id.set(int(own.split("-")[2], 16) if own else 0)
        try:
            return self._tracer.start_span(
                finished.name, above, _KINDS[kind], finished.attributes, start_time=_nanoseconds(finished.started)
            )
        finally:
            _given_id.reset(token)


class _Live:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, attributes: Mapping[str, Attribute]) -> None:
        self._span.set_attributes(attributes)

    def fail(self, code: str) -> None:
        self._span.set_attribute("error.type", code)
        self._span.set_status(trace.StatusCode.ERROR, code)


class _Ids(RandomIdGenerator):
    """Random ids, but for a span that was given its id beforehand."""

    def generate_span_id(self) -> int:
        return _given_id.get() or super().generate_span_id()


def _end(span: trace.Span, finished: Finished) -> None:
    if finished.error:
        _Live(span).fail(finished.error)
    span.end(_nanoseconds(finished.ended))


def _context(parent: str | None) -> Context:
    """The context that `parent` names; an empty one where it is none."""
    return _W3C.extract({HEADER: parent or ""}, context=Context())


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
