"""Processes that render pictures beside the demo, and end without a word when it is interrupted."""

from __future__ import annotations

import signal
from concurrent.futures import ProcessPoolExecutor


def painters(count: int) -> ProcessPoolExecutor:
    """A pool of `count` processes. Ctrl-C in a terminal reaches them as well as the demo, which alone speaks of it."""
    return ProcessPoolExecutor(count, initializer=_end_silently)


def _end_silently() -> None:
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_DFL)
