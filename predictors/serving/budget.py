"""How many decoded pixels may be held at once, so that small files that decode large cannot fill the memory."""

from __future__ import annotations

import threading
from collections.abc import Callable


class PixelBudget:
    """A counter of pixels that decoders wait for. One image is always let through, however large."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    def hold(self, pixels: int, wanted: Callable[[], bool]) -> bool:
        """Wait for room and hold it; False as soon as the image is not `wanted` any more."""
        with self._changed:
            while self._held and self._held + pixels > self._limit:
                if not wanted():
                    return False
                # A caller that leaves notifies nobody here, hence the time-out.
                self._changed.wait(0.1)
            self._held += pixels
            return True

    def release(self, pixels: int) -> None:
        if pixels:
            with self._changed:
                self._held -= pixels
                self._changed.notify_all()
