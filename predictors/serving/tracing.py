"""Requests as spans, made after the fact from their measured phases, in a thread of their own.

While tracing is off a request has no trace, and noting a phase costs one comparison.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from itertools import pairwise
from queue import SimpleQueue
from typing import Any, NamedTuple

from kelp import tracing
from kelp.tracing import Attribute, Finished

log = logging.getLogger("kelp.serving")
MOST_WAITING = 4096
"""Requests whose spans are not made yet; beyond that they go untraced."""
_QUEUE = "queue"
_recorder: Recorder | None = None


class Phase(NamedTuple):
    """Begin and end by `time.monotonic`."""

    name: str
    started: float
    ended: float


class RequestTrace:
    """What a request did when. `parent`: the `traceparent` that it came with."""

    def __init__(self, recorder: Recorder, parent: str | None) -> None:
        self._recorder = recorder
        self.parent = parent
        self.phases: list[Phase] = []

    def add(self, name: str, started: float, ended: float) -> None:
        self.phases.append(Phase(name, started, ended))

    def end(self, model: str, protocol: str, code: int, seconds: float, fields: Mapping[str, Any]) -> None:
        """The request is over, after `seconds`, with an HTTP status; `fields` as its log line has them."""
        attributes: dict[str, Attribute] = {
            "kelp.model": model, "kelp.protocol": protocol, "http.response.status_code": code
        }  # fmt: skip
        if "images" in fields:
            attributes["kelp.images"] = int(fields["images"])
        ended = time.monotonic()
        self._recorder.put(Served(self, attributes, str(fields.get("error_code") or ""), ended - seconds, ended))


class Served(NamedTuple):
    trace: RequestTrace
    attributes: Mapping[str, Attribute]
    error: str
    started: float
    ended: float


class Recorder:
    """Imports OpenTelemetry beside the loading of the model, which need not wait for it, and makes the spans."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._served: SimpleQueue[Served | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tracing", daemon=True)
        self._thread.start()

    def put(self, served: Served) -> None:
        if self._served.qsize() < MOST_WAITING:
            self._served.put(served)

    def stop(self, timeout_s: float) -> None:
        """Send what is left, as far as that can be done in time."""
        ends = time.monotonic() + timeout_s
        self._served.put(None)
        self._thread.join(timeout_s)
        tracing.stop(max(0.0, ends - time.monotonic()))

    def _work(self) -> None:
        problem = tracing.start(self._service)
        if problem is not None:
            log.warning("no tracing", extra={"reason": problem})
            _forget()
            return
        while (served := self._served.get()) is not None:
            _record(served)


def _forget() -> None:
    global _recorder
    _recorder = None


def start(service: str) -> None:
    """Trace requests from now on, if the environment asks for it."""
    global _recorder
    if _recorder is None and tracing.is_wanted():
        _recorder = Recorder(service)


def stop(timeout_s: float) -> None:
    """The process ends."""
    if _recorder is not None:
        _recorder.stop(timeout_s)


def begin(parent: bytes | str | None) -> RequestTrace | None:
    """The trace of a request with this `traceparent`; None while tracing is off."""
    if _recorder is None:
        return None
    return RequestTrace(_recorder, parent.decode("latin-1") if isinstance(parent, bytes) else parent)


def _record(served: Served) -> None:
    since = time.time() - time.monotonic()

    def at(name: str, started: float, ended: float) -> Finished:
        return Finished(name, started + since, ended + since)

    trace = served.trace
    phases = list(trace.phases)
    whole = at(f"infer {served.attributes['kelp.model']}", served.started, served.ended)._replace(
        attributes=served.attributes, error=served.error
    )
    parts = [at(*phase) for phase in [*phases, *_waits(phases)]]
    tracing.record(whole, parts, kind="server", parent=trace.parent)


def _waits(phases: list[Phase]) -> list[Phase]:
    """Where the request waited: from its decoding to its first batch, and from there to the model."""
    first: dict[str, Phase] = {}
    for phase in phases:
        first.setdefault(phase.name, phase)
    steps = [first[name] for name in ("decode", "preprocess", "predict") if name in first]
    return [
        Phase(_QUEUE, before.ended, after.started) for before, after in pairwise(steps) if after.started > before.ended
    ]
