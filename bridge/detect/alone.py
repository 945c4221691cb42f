"""One image alone before a model: what cannot be answered is told apart from what must be tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from bridge.runs.endings import RunEnds
from kelp.errors import BadGateway, InvalidRequest, KelpError, NotReady, OutOfMemory, QueueFull, TooLarge, TooLate

T = TypeVar("T")
# An image that is too large for the device, or that the model fails on, is tried alone so often.
TRIES_ALONE = 3
PAUSE_ALONE_S = 1.0
LONGEST_PAUSE_ALONE_S = 2.0
_THE_CALLERS = {"unknown_parameter", "invalid_parameter", "missing_parameter"}


@dataclass(frozen=True, slots=True)
class Refused:
    """The model has no answer for this image."""

    reason: str


async def ask_alone(ask: Callable[[], Awaitable[T]], pause_s: float = PAUSE_ALONE_S) -> T | Refused:
    """The answer to `ask`, a request with one image. RunEnds where the model refuses the request as such; passing
    errors (not ready, no connection) are raised."""
    for left in range(TRIES_ALONE - 1, -1, -1):
        try:
            return await ask()
        except InvalidRequest as error:
            refuse_callers_fault(error)
            return Refused(error.message)
        except TooLarge as error:
            return Refused(error.message)
        except KelpError as error:
            if not (isinstance(error, OutOfMemory) or is_the_models(error)):
                raise
            if not left:
                return Refused(error.message)
            await asyncio.sleep(min(error.retry_after_s or pause_s, LONGEST_PAUSE_ALONE_S))
    raise AssertionError("unreachable")


def refuse_callers_fault(error: InvalidRequest) -> None:
    """RunEnds where it is the parameters, not the image, that the model refuses."""
    if error.code in _THE_CALLERS:
        raise RunEnds("failed", error.message) from None


def is_the_models(error: KelpError) -> bool:
    """Whether the model itself failed (500), rather than the way to it."""
    return error.status >= 500 and not isinstance(error, (NotReady, BadGateway, TooLate, QueueFull))
