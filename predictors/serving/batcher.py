"""Collects images of concurrent requests into batches for one model."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from predictors.serving.call import Work

AHEAD = 2
"""Batches between `take` and `done`: one in the model, one prepared behind it."""


class Batcher:
    """A queue that gives out batches, in order of arrival.

    A full batch goes at once, prepared while the model still works. One that is not full goes when the model is idle:
    at once if no other request is on its way, else when the window, opened by its first image, has closed. While the
    model works the next batch collects, so the window adds nothing then; an idle server sleeps.
    """

    def __init__(self, max_images: int, window_s: float, drop: Callable[[Work], None]) -> None:
        """`drop` is called, without the lock, for images that nobody wants any more."""
        self.max_images = max_images
        self._window_s = window_s
        self._drop = drop
        self._queue: deque[Work] = deque()
        self._again: deque[list[Work]] = deque()
        self._coming = 0
        self._busy = 0
        self._closed = False
        self._changed = threading.Condition()

    def announce(self, images: int) -> None:
        """So many more images are on their way here (negative: fewer)."""
        with self._changed:
            self._coming += images
            if self._coming == 0 and self._queue and self._busy == 0:
                self._changed.notify()

    def put(self, work: Work) -> None:
        """An announced image has arrived."""
        with self._changed:
            self._coming -= 1
            self._queue.append(work)
            if self._busy == 0 or (self._busy < AHEAD and len(self._queue) >= self.max_images):
                self._changed.notify()

    def put_again(self, groups: Iterable[list[Work]]) -> None:
        """Batches to be tried exactly so, before anything else."""
        with self._changed:
            self._again.extend(groups)
            self._changed.notify()

    def done(self) -> None:
        """A batch that was taken has left the model."""
        with self._changed:
            self._busy -= 1
            self._changed.notify()

    def shrink(self, max_images: int) -> None:
        """Batches are at most so large from now on."""
        with self._changed:
            self.max_images = max(1, min(self.max_images, max_images))

    def close(self) -> None:
        """`take` returns None once everything has been taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> list[Work] | None:
        """Wait for the next batch. None after `close`."""
        while True:
            with self._changed:
                chosen = self._wait()
                if chosen is None:
                    return None
                self._busy += 1
            wanted = [work for work in chosen if not work.call.over]
            if len(wanted) < len(chosen):
                for work in chosen:
                    if work.call.over:
                        self._drop(work)
            if wanted:
                return wanted
            self.done()

    def _wait(self) -> list[Work] | None:
        while True:
            left_s = self._left()
            if left_s == 0.0:
                if self._again:
                    return self._again.popleft()
                return [self._queue.popleft() for _ in range(min(len(self._queue), self.max_images))]
            if left_s is None and self._closed and not self._queue and not self._again:
                return None
            self._changed.wait(left_s)

    def _left(self) -> float | None:
        """Seconds until a batch may go as things stand; None: not before something changes."""
        if self._busy >= AHEAD:
            return None
        if self._again or len(self._queue) >= self.max_images:
            return 0.0
        if self._busy or not self._queue:
            return None
        if self._coming <= 0 or self._closed:
            return 0.0
        return max(0.0, self._queue[0].arrived + self._window_s - time.monotonic())
