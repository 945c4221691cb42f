"""Waiting for a model that starts, and a moment for a server that has gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from kelp.errors import NotReady, Unreachable

Result = TypeVar("Result")

# Waiting does not mend these.
_FINAL = frozenset({"failing", "over_budget", "out_of_memory", "not_trusted"})
_ABSENCE_S = 10.0


def patiently(call: Callable[[], Result], cold_start_s: float) -> Result:
    """What `call` answers. One that says why it cannot start is not waited for."""
    ends = time.monotonic() + cold_start_s
    while True:
        try:
            return call()
        except NotReady as error:
            if isinstance(error, Unreachable):
                ends = min(ends, time.monotonic() + _ABSENCE_S)
            pause = error.retry_after_s or 1.0
            if error.code in _FINAL or time.monotonic() + pause > ends:
                raise
            time.sleep(pause)
