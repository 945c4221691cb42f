"""Tracing by OpenTelemetry, off unless an OTLP endpoint is configured.

While it is off nothing of OpenTelemetry is imported, and each of these calls is a comparison. Attributes are names,
numbers and ids; never a picture, a payload, an address with its query, or anything secret.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from kelp.tracing.sdk import Tracing

HEADER = "traceparent"
"""W3C Trace Context: the header, and the gRPC metadata, that names a trace and the span that is the parent."""

Kind = Literal["internal", "server", "client"]
Attribute = str | int | float | bool | list[int]
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NOTHING: Mapping[str, str] = {}
_tracing: Tracing | None = None


class Span(Protocol):
    """A piece of work under way."""

    def set(self, attributes: Mapping[str, Attribute]) -> None:
        """Say more about it."""

    def fail(self, code: str) -> None:
        """It did not succeed; `code` is one of `kelp.errors`, never a message."""


class Finished(NamedTuple):
    """A piece of work that is over: begin and end in seconds since 1970. error: its code, empty where it succeeded."""

    name: str
    started: float
    ended: float
    attributes: Mapping[str, Attribute] = {}
    error: str = ""


class _Off:
    """Every span while tracing is off."""

    def set(self, attributes: Mapping[str, Attribute]) -> None:
        return None

    def fail(self, code: str) -> None:
        return None

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None:
        return None


_OFF = _Off()


def is_wanted() -> bool:
    """Whether the environment asks for it, by OpenTelemetry's own variables."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(os.environ.get(name) for name in _ENDPOINTS)


def is_on() -> bool:
    return _tracing is not None


def start(service: str) -> str | None:
    """Begin if it is wanted; what is wrong, where it cannot. `service`: the name if OTEL_SERVICE_NAME gives none."""
    global _tracing
    if _tracing is not None or not is_wanted():
        return None
    try:
        from kelp.tracing.sdk import Tracing
    except ImportError as error:
        return f"an OTLP endpoint is configured, but {error.name} is not installed (extra `tracing`)"
    _tracing = Tracing(service)
    return None


def stop(timeout_s: float = 2.0) -> None:
    """Send what is not sent yet, as far as that can be done in time."""
    global _tracing
    if _tracing is not None:
        _tracing.stop(timeout_s)
        _tracing = None


def span(
    name: str,
    attributes: Mapping[str, Attribute] | None = None,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
) -> AbstractContextManager[Span]:
    """A span around a block, the parent of all that begin within it; an exception marks it as failed.

    parent: a `traceparent` instead of the span that is under way here; one that is malformed is none.
    """
    return _OFF if _tracing is None else _tracing.span(name, attributes, kind, parent)


def within(parent: str | None) -> AbstractContextManager[object]:
    """A block whose spans belong below `parent`, a `traceparent` that somebody else records."""
    return _OFF if _tracing is None or parent is None else _tracing.within(parent)


def record(
    whole: Finished,
    parts: Sequence[Finished] = (),
    *,
    kind: Kind = "internal",
    parent: str | None,
    own: str | None = None,
) -> None:
    """Spans of work that is over: `whole`, below `parent` (None: a trace of its own), and its `parts` below it.

    own: the `traceparent` that `whole` was given beforehand.
    """
    if _tracing is not None:
        _tracing.record(whole, parts, kind, parent, own)


def traceparent() -> str | None:
    """The span under way here, for those who go on with it elsewhere; None where there is none."""
    return headers().get(HEADER)


def headers() -> Mapping[str, str]:
    """What a request carries so that its server goes on with the trace; names in lower case, as gRPC wants them."""
    return _NOTHING if _tracing is None else _tracing.headers()


def child_of(parent: str, key: str) -> str:
    """The `traceparent` of a span below `parent` whose id follows from `key`: any process comes to the same."""
    version, trace_id, _, flags = parent.split("-", 3)
    return f"{version}-{trace_id}-{hashlib.sha256(key.encode()).hexdigest()[:16]}-{flags}"
