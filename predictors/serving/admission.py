"""How many requests may wait, and for how long: everything that is refused before it costs anything."""

from __future__ import annotations

import asyncio
import threading

from kelp.card.schema import Limits
from kelp.errors import QueueFull, TooLate

RETRY_AFTER_S = 1.0


class Admission:
    """Counts the requests that wait for the model. Used from the event loop and from the worker threads."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._waiting = 0
        self._open = 0
        self._lock = threading.Lock()
        self._idle: asyncio.Event | None = None

    @property
    def waiting(self) -> int:
        """Requests that are being read, decoded or queued; those in the model do not count."""
        return self._waiting

    @property
    def open(self) -> int:
        """Requests that have no answer yet."""
        return self._open

    def enter(self) -> Place:
        """A place in the queue. QueueFull when as many as the limit allows are waiting."""
        with self._lock:
            if self._waiting >= self.limits.queue_requests:
                raise QueueFull(
                    f"{self._waiting} requests are waiting already; try again later", retry_after_s=RETRY_AFTER_S
                )
            self._waiting += 1
            self._open += 1
        return Place(self)

    async def idle(self) -> None:
        """Wait until no request is open. For the event loop on which places are left."""
        self._idle = asyncio.Event()
        if self._open:
            await self._idle.wait()

    def _taken(self) -> None:
        with self._lock:
            self._waiting -= 1

    def _left(self) -> None:
        with self._lock:
            self._open -= 1
        if self._idle is not None and not self._open:
            self._idle.set()

    def timeout_s(self, of_caller: float | None) -> float:
        """Seconds that a request may take: the caller's own limit or the card's, whichever is smaller."""
        ours = self.limits.request_seconds
        if of_caller is None:
            return ours
        if of_caller <= 0:
            raise TooLate("the deadline had passed when the request arrived")
        return min(of_caller, ours)


class Place:
    """A request's place: it waits until the model begins with it, and is open until it is answered."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._waits = True
        self._lock = threading.Lock()

    def taken(self) -> None:
        """The model begins with it."""
        with self._lock:
            waits, self._waits = self._waits, False
        if waits:
            self._admission._taken()

    def leave(self) -> None:
        """It has been answered, or given up. To be called once."""
        self.taken()
        self._admission._left()
