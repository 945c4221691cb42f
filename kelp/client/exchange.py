"""Attempts, pauses and deadlines of a call, without any I/O.

A call is a generator: it yields `Send` (deliver this, give me the answer or raise into me) and `Pause`, and returns the
result. The four clients only carry these out, so that all of them repeat and give up alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from kelp.client.config import ClientConfig
from kelp.client.errors import ConnectionBroken, MalformedAnswer, NotTrusted
from kelp.errors import BadGateway, KelpError, NotReady, OutOfMemory, QueueFull, TooLate

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Send:
    """Deliver `call` and answer with what came back, within `timeout_s`."""

    call: Any
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for `seconds`."""

    seconds: float


Steps = Generator[Send | Pause, Any, Result]


class Attempts:
    """Decides after each failure whether to try again, and when.

    A model that is not ready, and a server that is not there, are waited for as long as `patience_s`; what broke on the
    way, a 502 and a 429 are repeated `config.retries` times; all else is final. Nothing goes on after `timeout_s`.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        timeout_s: float,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._clock = clock
        self._jitter = jitter
        self._started = clock()
        self._timeout_s = timeout_s
        self._patience_s = min(patience_s, timeout_s)
        self._repeats = 0
        self._pauses = 0

    def left_s(self) -> float:
        """Seconds until the deadline. TooLate once there are none."""
        left = self._timeout_s - self._elapsed()
        if left <= 0:
            raise TooLate(f"no answer within {self._timeout_s:g} s")
        return left

    def pause_after(self, error: KelpError) -> float | None:
        """Seconds to wait before the next attempt; None: there is none, the error is the answer."""
        if isinstance(error, (OutOfMemory, NotTrusted, MalformedAnswer)):
            return None
        if isinstance(error, (ConnectionBroken, BadGateway, QueueFull)):
            self._repeats += 1
            if self._repeats > self._config.retries:
                return None
            until_s = self._timeout_s
        elif isinstance(error, NotReady):
            until_s = self._patience_s
        else:
            return None
        longest = min(self._config.backoff_s * 2**self._pauses, self._config.backoff_max_s)
        self._pauses = min(self._pauses + 1, 32)
        pause = max(longest * (0.5 + 0.5 * self._jitter()), error.retry_after_s or 0.0)
        return pause if self._elapsed() + pause < until_s else None

    def _elapsed(self) -> float:
        return self._clock() - self._started


def exchange(attempts: Attempts, build: Callable[[float], Any], read: Callable[[Any], Result]) -> Steps[Result]:
    """One call with its repeats. `build` makes it, told the seconds that are left; `read` makes its result."""
    earlier: KelpError | None = None
    while True:
        try:
            left = attempts.left_s()
            answer = yield Send(build(left), left)
            return read(answer)
        except TooLate as error:
            # The time may have gone into an earlier failure, which then is the reason.
            if earlier is not None:
                raise TooLate(f"{error.message}; before that: {earlier.message}", code=error.code) from error
            raise
        except KelpError as error:
            pause = attempts.pause_after(error)
            if pause is None:
                raise
            earlier = error
        yield Pause(pause)
