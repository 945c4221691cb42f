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
from kelp.client.errors import CANNOT_START, ConnectionBroken, GaveUpOnTheWay, MalformedAnswer, NotTrusted
from kelp.errors import BadGateway, KelpError, NotReady, OutOfMemory, QueueFull, TooLate

Result = TypeVar("Result")

MOST_FAILURES = 4
GIVEN_UP_PAUSE_S = 8.0
"""`kelp up` waits 1, 2, 4, 8 … s between its own tries: from here on, so many have failed in a row."""


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
    way, a 502, a 429 and a gateway's 504 are repeated `config.retries` times; all else is final. Nothing goes on after
    `timeout_s`.

    asks: the call only asks whether a model is ready. It is repeated whatever happened on the way, as long as
    `patience_s`, and no single question waits longer than `config.ready_s`: a connection may have died in silence.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        timeout_s: float,
        patience_s: float,
        asks: bool = False,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._clock = clock
        self._jitter = jitter
        self._started = clock()
        self._timeout_s = timeout_s
        self._patience_s = min(patience_s, timeout_s)
        self._asks = asks
        self._repeats = 0
        self._failures = 0
        self._pauses = 0

    def left_s(self) -> float:
        """Seconds that the next attempt may take. TooLate once there are none."""
        left = self._timeout_s - self._elapsed()
        if left <= 0:
            raise TooLate(f"no answer within {self._timeout_s:g} s")
        return min(left, self._config.ready_s) if self._asks else left

    def pause_after(self, error: KelpError) -> float | None:
        """Seconds to wait before the next attempt; None: there is none, the error is the answer."""
        if isinstance(error, (OutOfMemory, NotTrusted, MalformedAnswer)):
            return None
        if error.code in CANNOT_START:
            self._failures += 1
            if self._failures >= MOST_FAILURES or (error.retry_after_s or 0.0) >= GIVEN_UP_PAUSE_S:
                return None
        on_the_way = isinstance(error, (ConnectionBroken, BadGateway, GaveUpOnTheWay, QueueFull))
        if self._asks and (on_the_way or isinstance(error, (NotReady, TooLate))):
            until_s = self._patience_s
        elif on_the_way:
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
        except KelpError as error:
            pause = attempts.pause_after(error)
            if pause is None:
                if type(error) is TooLate and earlier is not None:
                    # The time may have gone into an earlier failure, which then is the reason.
                    raise TooLate(f"{error.message}; before that: {earlier.message}", code=error.code) from error
                raise
            earlier = error
        yield Pause(pause)
