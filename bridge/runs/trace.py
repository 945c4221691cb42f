"""A run's place in the trace of the webhook that asked for it, in whichever process it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kelp import tracing
from kelp.tracing import Finished

_FINE = {"completed", "completed_with_errors", "skipped"}


class RunTrace:
    """One attempt of a run. Its span's id follows from the run, so that what a process did before it died has the same
    parent as what the next one does; the span itself is told once, at the end."""

    def __init__(self, row: Any) -> None:
        """row: the claimed run."""
        self._row = row
        self._own = tracing.child_of(row.trace, f"{row.id}.{row.attempt}") if row.trace and tracing.is_on() else None
        self._began = row.started_at if row.attempt == 1 and row.started_at else time.time()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Around one step; what begins within it belongs to the run."""
        began = time.time()
        with tracing.within(self._own):
            yield
        if self._own is not None:
            tracing.record(Finished(name, began, time.time()), parent=self._own)

    def end(self, state: str) -> None:
        """The attempt is over."""
        if self._own is None:
            return
        row = self._row
        attributes = {
            "kelp.run": row.id, "kelp.kind": row.kind, "kelp.model": row.model, "kelp.attempt": row.attempt,
            "kelp.state": state,
        }  # fmt: skip
        numbers = {"kelp.job": row.job_id, "kelp.task": row.task_id, "kelp.target": row.target_id}
        attributes |= {name: number for name, number in numbers.items() if number}
        error = "" if state in _FINE else state
        whole = Finished("run", self._began, time.time(), attributes, error)
        tracing.record(whole, parent=row.trace, own=self._own)
