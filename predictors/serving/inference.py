"""An inference request on its way, with what it takes to answer it: from worker threads back to its event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from kelp.codec import InferRequest, InferResponse
from kelp.errors import KelpError, TooLate
from predictors.serving.answers import Answerer
from predictors.serving.call import Call
from predictors.serving.plan import Plan

log = logging.getLogger("kelp.serving")
T = TypeVar("T")


class Inference(Call, Generic[T]):
    """A call whose outcome is awaited as `answer` on the loop that made it; its time limits are timers of that loop."""

    def __init__(
        self,
        answerer: Answerer,
        render: Callable[[InferResponse, InferRequest], T],
        *,
        arrived: float,
        on_taken: Callable[[], None],
    ) -> None:
        """`render` makes the answer in the form of its protocol; `arrived`: when the request began, monotonic."""
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[T] = self._loop.create_future()
        super().__init__(self._hand_over, on_taken)
        self.plan: Plan | None = None
        self._arrived = arrived
        self._answerer = answerer
        self._render = render
        self._timers: list[asyncio.TimerHandle] = []

    def expire_after(self, seconds: float) -> None:
        """No answer is wanted later than so many seconds after the request's arrival. On the loop."""
        left_s = max(0.0, seconds - (time.monotonic() - self._arrived))
        text = f"no answer within {seconds:.3g} s"
        self._timers.append(self._loop.call_later(left_s, lambda: self.deliver(TooLate(text))))

    def expire_in_queue_after(self, seconds: float) -> None:
        """From now on, the model must begin with it within so many seconds. On the loop."""

        def expire() -> None:
            if not self.taken:
                self.deliver(TooLate(f"the model was busy with other requests for {seconds:.3g} s"))

        self._timers.append(self._loop.call_later(seconds, expire))

    def shorten(self, seconds: float) -> None:
        """As `expire_after`, from any thread."""
        self._loop.call_soon_threadsafe(self.expire_after, seconds)

    def end(self) -> None:
        """Nobody waits any more. On the loop."""
        self.abandon()
        for timer in self._timers:
            timer.cancel()

    def finish(self) -> None:
        """All its images are settled: answer it. In a worker thread."""
        if self.over:
            return
        try:
            self.deliver(self.error() or self._rendered())
        except Exception as error:  # whatever it is, the caller gets an answer
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End with `error`; what is no KelpError is logged, and told to the caller without its text."""
        if not isinstance(error, KelpError):
            log.error("a request failed inside the server", exc_info=error)
            error = KelpError("the server failed on this request")
        self.deliver(error)

    def _rendered(self) -> T:
        assert self.plan is not None
        started = time.monotonic()
        response = self._answerer.response(self.plan, self.results)
        built = time.monotonic()
        answer = self._render(response, self.plan.request)
        self.add_phase("postprocess", started, built)
        self.add_phase("encode", built, time.monotonic())
        return answer

    def _hand_over(self, outcome: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle_answer, outcome)
        except RuntimeError:  # the loop is closed: the process is ending, and nobody waits
            log.debug("an answer came after the end")

    def _settle_answer(self, outcome: Any) -> None:
        if self.answer.done():
            return
        if isinstance(outcome, BaseException):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)
