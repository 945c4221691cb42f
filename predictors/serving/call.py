"""A request in flight, and the images it is made of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kelp.errors import InvalidRequest, KelpError, OutOfMemory
from predictors.model import Item
from predictors.serving.tracing import RequestTrace


class Call:
    """One inference request between admission and answer. The edge's loop and the worker threads share it.

    It is over once an outcome was delivered, its deadline has passed or its caller has left; what still belongs to it
    in some queue is then dropped.
    """

    def __init__(self, deliver: Callable[[Any], None], on_taken: Callable[[], None] = lambda: None) -> None:
        """`deliver` gets the rendered answer or the KelpError; `on_taken` is called once the model begins with it."""
        self.started = time.monotonic()
        self.over = False
        self.taken = False
        self.phases: dict[str, float] = {}
        self.trace: RequestTrace | None = None
        self.results: list[Any] = []
        self._errors: dict[int, KelpError] = {}
        self._open = 0
        self._lock = threading.Lock()
        self._deliver = deliver
        self._on_taken = on_taken

    def expect(self, images: int) -> None:
        """From now on the call waits for so many results."""
        self.results = [None] * images
        self._open = images

    def settle(self, index: int, result: Any) -> bool:
        """Note an image's result, a KelpError, or None for one that was dropped. True if it was the last one."""
        with self._lock:
            if isinstance(result, KelpError):
                self._errors[index] = result
            else:
                self.results[index] = result
            self._open -= 1
            return self._open == 0

    def take(self) -> None:
        """The model begins with one of its images."""
        with self._lock:
            if self.taken:
                return
            self.taken = True
        waited_s = time.monotonic() - self.started - self.phases.get("decode", 0.0) - self.phases.get("preprocess", 0.0)
        self.phases["queue"] = max(0.0, waited_s)
        self._on_taken()

    def add_phase(self, name: str, started: float, ended: float) -> None:
        """One of its images, or all of them, went through a phase; `time.monotonic` at its begin and end."""
        self.phases[name] = self.phases.get(name, 0.0) + ended - started
        if self.trace is not None:
            self.trace.add(name, started, ended)

    def abandon(self) -> None:
        """Nobody waits for the outcome any more."""
        self.over = True

    def deliver(self, outcome: Any) -> None:
        with self._lock:
            if self.over:
                return
            self.over = True
        self._deliver(outcome)

    def finish(self) -> None:
        """All its images are settled: make the outcome and deliver it."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """The whole call ends with `error`."""
        raise NotImplementedError

    def error(self) -> KelpError | None:
        """One error for all images that failed: the caller's faults first, then memory, then the model's own.

        Its `image_indices` are those that failed for that reason.
        """
        if not self._errors:
            return None
        for kind in (InvalidRequest, OutOfMemory, KelpError):
            of_kind = {i: e for i, e in sorted(self._errors.items()) if isinstance(e, kind)}
            if of_kind:
                return _merged(of_kind)
        return None


@dataclass(slots=True, eq=False)
class Work:
    """One image on its way to the model. `pixels`: what it holds of the pixel budget."""

    call: Call
    index: int
    item: Item
    pixels: int = 0
    arrived: float = field(default_factory=time.monotonic)


def _merged(errors: dict[int, KelpError]) -> KelpError:
    first_index, first = next(iter(errors.items()))
    codes = {e.code for e in errors.values()}
    message = f"image {first_index}: {first.message}"
    if len(errors) > 1:
        message += f" ({len(errors)} images failed)"
    return type(first)(
        message,
        code=first.code if len(codes) == 1 else type(first).default_code,
        image_indices=list(errors),
        retry_after_s=first.retry_after_s,
    )
