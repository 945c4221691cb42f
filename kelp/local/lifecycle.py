"""The states of one model, and when it sleeps, wakes and tries again. Pure: whoever calls it brings the time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kelp.card.metadata import State

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
STEADY_S = 60.0
"""A process that lived so long counts as sound: the next crash begins again with the shortest pause."""


class Phase(Enum):
    ASLEEP = "asleep"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILING = "failing"


_PUBLIC: dict[Phase, State] = {
    Phase.ASLEEP: "asleep",
    Phase.STARTING: "starting",
    Phase.READY: "ready",
    Phase.STOPPING: "asleep",
    Phase.FAILING: "failing",
}


def pause_after(failures: int) -> float:
    """Seconds before the next start after so many failures in a row: 1, 2, 4 … 60."""
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10))


@dataclass(slots=True)
class Lifecycle:
    """One model's state; times are seconds of one monotonic clock.

    always_on: `scale.min` ≥ 1; retention_s: how long an idle process is kept.
    """

    always_on: bool
    retention_s: float
    phase: Phase = Phase.ASLEEP
    in_flight: int = 0
    waiting: int = 0
    last_used: float = 0.0
    ready_since: float = 0.0
    failures: int = 0
    retry_at: float = 0.0
    retries_itself: bool = False
    reason: str = ""

    @property
    def state(self) -> State:
        return _PUBLIC[self.phase]

    def must_wait(self, now: float) -> float:
        """Seconds until a failing model may be started again; 0 where nothing forbids it."""
        return max(0.0, self.retry_at - now) if self.phase is Phase.FAILING else 0.0

    def starts(self) -> None:
        self.phase = Phase.STARTING

    def becomes_ready(self, now: float) -> None:
        self.phase, self.reason = Phase.READY, ""
        self.ready_since = self.last_used = now

    def begins_request(self, now: float) -> None:
        self.in_flight += 1
        self.last_used = now

    def ends_request(self, now: float) -> None:
        self.in_flight -= 1
        self.last_used = now

    def stops(self) -> None:
        self.phase = Phase.STOPPING

    def sleeps(self) -> None:
        self.phase = Phase.ASLEEP

    def gives_up_start(self) -> None:
        """Nobody waits for the start any more, and it had not begun."""
        self.phase = Phase.FAILING if self.failures else Phase.ASLEEP

    def fails(self, now: float, reason: str) -> None:
        """The process died, or did not become ready. It is tried again after a pause: by itself if it had been ready
        and somebody used it within its retention, or if it is always on; else by the next request."""
        was_ready = self.phase is Phase.READY
        if was_ready and now - self.ready_since >= STEADY_S:
            self.failures = 0
        self.failures += 1
        self.retry_at = now + pause_after(self.failures)
        self.retries_itself = self.always_on or (was_ready and now - self.last_used <= self.retention_s)
        self.phase, self.reason = Phase.FAILING, reason

    def idle_s(self, now: float) -> float | None:
        """Seconds since it last worked; None unless it is ready and idle."""
        if self.phase is not Phase.READY or self.in_flight or self.waiting:
            return None
        return max(0.0, now - self.last_used)

    def sleeps_at(self) -> float | None:
        """When an idle process is to be stopped; None where it is not."""
        if self.always_on or self.phase is not Phase.READY or self.in_flight or self.waiting:
            return None
        return self.last_used + self.retention_s

    def restarts_at(self) -> float | None:
        """When a failing model starts again by itself; None where the next request does it."""
        return self.retry_at if self.phase is Phase.FAILING and self.retries_itself else None
