"""How a run can end before its work is done, and what is worth another try."""

from __future__ import annotations

from typing import Literal

from bridge.cvat.errors import CvatRefused
from kelp.client import CANNOT_START
from kelp.errors import BadGateway, KelpError, NotReady, QueueFull, TooLate

EndState = Literal["completed", "completed_with_errors", "failed", "cancelled", "skipped"]


class RunEnds(Exception):
    """Nothing more to do: the run ends in `state`, and `reason` says why to people."""

    def __init__(self, state: EndState, reason: str) -> None:
        super().__init__(reason)
        self.state: EndState = state
        self.reason = reason


class Draining(BaseException):
    """The process stops: the run is left as it is, for the next process. Not an Exception: nothing may record it."""


def is_passing(error: BaseException) -> bool:
    """Whether the same may work in a moment: somebody does not answer, is full, is starting or answers nonsense."""
    if isinstance(error, CvatRefused) or (isinstance(error, KelpError) and error.code in CANNOT_START):
        return False  # the client has waited for a model as long as there was hope
    return isinstance(error, (NotReady, QueueFull, TooLate, BadGateway))


def reason_of(error: BaseException) -> str:
    """What went wrong, for people: our own errors say it themselves, of others only their kind is told."""
    return error.message if isinstance(error, KelpError) else f"internal error ({type(error).__name__})"
