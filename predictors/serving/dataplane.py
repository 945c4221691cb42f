"""Where both edges meet: an inference request from its bytes to its rendered answer, whatever protocol it came by."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from kelp.card import Card
from kelp.card.metadata import model_metadata
from kelp.card.schema import Label
from kelp.codec import InferRequest, InferResponse
from kelp.errors import KelpError, NotFound, NotReady, TooLate
from predictors.model import Model
from predictors.serving.admission import Admission, Place
from predictors.serving.answers import Answerer
from predictors.serving.batcher import Batcher
from predictors.serving.budget import PixelBudget
from predictors.serving.call import Call, Work
from predictors.serving.engine import Engine, processors, warm_up
from predictors.serving.intake import Intake
from predictors.serving.lifecycle import Lifecycle
from predictors.serving.metrics import PredictorMetrics
from predictors.serving.plan import Plan, Planner

log = logging.getLogger("kelp.serving")
T = TypeVar("T")
LEFT = 499
"""What metrics and logs give as the status of a request whose caller left."""


class CallerLeft(Exception):
    """Nobody waits for the answer any more."""


class DataPlane:
    """One model, its queue and its threads."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.lifecycle = Lifecycle(card.model_name)
        self.admission = Admission(card.limits)
        self.metrics = PredictorMetrics(card.model_name, lambda: self.admission.waiting)
        self._loaded: _Loaded | None = None
        self._open: set[Call] = set()
        # An image of the largest size may be decoded while another one is in the model.
        budget = PixelBudget(2 * card.limits.image_pixels)
        batcher = Batcher(card.batch.max_images, card.batch.window_ms / 1e3, self._drop)
        self._engine = Engine(batcher, budget, self.metrics, self._finish)
        self._intake = Intake(
            batcher, budget, self._finish, _fail,
            max_pixels=card.limits.image_pixels, threads=max(2, min(8, processors())),
        )  # fmt: skip

    def start(
        self,
        make: Callable[[], Model],
        failed: Callable[[BaseException], None],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Make, load and warm the model up in a thread of its own, where it then runs.

        Called there: `ready` once it can be used; `failed` with what goes wrong, be it that the model cannot be loaded
        or that a thread died.
        """

        def load() -> Model:
            started = time.monotonic()
            model = make()
            made = time.monotonic()
            planner = Planner(self.card, model.own_settings)
            model.load()
            loaded = time.monotonic()
            warm_up(model)
            # What is loaded stays: collections that walk through all of it would only hold up requests.
            gc.freeze()
            labels = tuple(model.labels)
            self._loaded = _Loaded(planner, Answerer(self.card, labels), labels)
            self.lifecycle.loaded()
            parts = {"make": made - started, "load": loaded - made, "warm_up": time.monotonic() - loaded}
            seconds = {f"{name}_s": round(value, 3) for name, value in parts.items()}
            log.info("ready", extra={"model": self.card.model_name, **seconds})
            ready()
            return model

        def died(error: BaseException) -> None:
            self.lifecycle.failed(str(error))
            failed(error)

        self._engine.start(load, died)

    def give_up(self) -> None:
        """Answer what is still open: the server ends."""
        for call in list(self._open):
            call.deliver(NotReady("the server stopped before the model had answered"))

    def close(self, timeout_s: float) -> bool:
        """End the threads. False if the model was still at work after `timeout_s`."""
        self._intake.close()
        return self._engine.close(timeout_s)

    def check_name(self, name: str, version: str = "") -> None:
        """NotFound unless that is this model."""
        if name != self.card.model_name:
            raise NotFound(f"no model '{name[:80]}' here; this is {self.card.model_name}", code="unknown_model")
        if version and version != self.card.version:
            has = f"version {self.card.version}" if self.card.version else "no versions"
            raise NotFound(f"{self.card.model_name} has {has}, not '{version[:80]}'", code="unknown_version")

    def metadata(self) -> dict[str, Any]:
        """V2's model metadata."""
        labels = self._loaded.labels if self._loaded else ()
        return model_metadata(self.card, self.lifecycle.state, [Label(name=name) for name in labels])

    async def infer(
        self,
        place: Place,
        parse: Callable[[], InferRequest],
        render: Callable[[InferResponse, InferRequest], T],
        *,
        started: float,
        timeout_s: float | None = None,
        fields: dict[str, Any],
    ) -> T:
        """The rendered answer.

        `parse` and `render` run in worker threads; `fields` gets what the log should say. `started`: when the request
        began to arrive, by `time.monotonic`; `timeout_s`: what the caller itself allows from then on. Raises KelpError
        with the status to answer, and whatever cancels the waiting task; the request is dropped then.
        """
        self.lifecycle.check()
        loaded = self._loaded
        assert loaded is not None  # it is ready
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        allowed_s = self.admission.timeout_s(timeout_s)
        queue_s = self.admission.limits.queue_seconds
        call = _Inference(place, loaded.answerer, render, lambda outcome: _hand_over(loop, future, outcome))
        timers = [loop.call_later(queue_s, _expire_in_queue, call, queue_s)]

        def expire_after(seconds: float) -> None:
            left_s = seconds - (time.monotonic() - started)
            timers.append(loop.call_later(max(0.0, left_s), _expire, call, seconds))

        expire_after(allowed_s)

        def read() -> Plan:
            request = parse()
            self.check_name(request.model_name, request.model_version)
            call.plan = plan = loaded.planner.plan(request)
            fields.update(images=len(plan.images), id=request.id or None)
            if plan.timeout_s is not None and plan.timeout_s < allowed_s:
                loop.call_soon_threadsafe(expire_after, plan.timeout_s)
            return plan

        self._open.add(call)
        self._intake.submit(call, read)
        try:
            return await future
        finally:
            self._open.discard(call)
            call.abandon()
            for timer in timers:
                timer.cancel()
            fields["phases_ms"] = {name: round(seconds * 1e3, 2) for name, seconds in call.phases.items()}
            for name in ("decode", "queue", "encode"):
                if name in call.phases:
                    self.metrics.phase(name, call.phases[name])

    def note(self, protocol: str, code: int, seconds: float, request_id: str, fields: Mapping[str, Any]) -> None:
        """Count and log an inference request that is over, by its HTTP status."""
        self.metrics.request(protocol, code, seconds)
        if code != 200:
            self.metrics.rejected(str(fields.get("error_code") or ("caller_left" if code == LEFT else "internal")))
        facts = {"request_id": request_id, "protocol": protocol, "code": code, "ms": round(seconds * 1e3, 2)}
        log.log(logging.WARNING if code >= 500 else logging.INFO, "infer", extra={**facts, **fields})

    def _drop(self, work: Work) -> None:
        self._engine.drop(work)

    def _finish(self, call: Call) -> None:
        """All images of the call are settled: answer it. Runs in a worker thread."""
        if call.over:
            return
        assert isinstance(call, _Inference)
        try:
            call.deliver(call.error() or call.rendered())
        except Exception as error:  # whatever it is, the caller gets an answer
            _fail(call, error)


class _Loaded(NamedTuple):
    """What depends on the loaded model."""

    planner: Planner
    answerer: Answerer
    labels: tuple[str, ...]


class _Inference(Call, Generic[T]):
    """A call together with what it takes to answer it."""

    def __init__(
        self,
        place: Place,
        answerer: Answerer,
        render: Callable[[InferResponse, InferRequest], T],
        deliver: Callable[[Any], None],
    ) -> None:
        super().__init__(deliver, place.taken)
        self.plan: Plan | None = None
        self._answerer = answerer
        self._render = render

    def rendered(self) -> T:
        assert self.plan is not None
        started = time.monotonic()
        response = self._answerer.response(self.plan, self.results)
        built = time.monotonic()
        answer = self._render(response, self.plan.request)
        self.add_phase("postprocess", built - started)
        self.add_phase("encode", time.monotonic() - built)
        return answer


def _fail(call: Call, error: BaseException) -> None:
    if not isinstance(error, KelpError):
        log.error("a request failed inside the server", exc_info=error)
        error = KelpError("the server failed on this request")
    call.deliver(error)


def _expire(call: Call, allowed_s: float) -> None:
    call.deliver(TooLate(f"no answer within {allowed_s:.3g} s"))


def _expire_in_queue(call: Call, allowed_s: float) -> None:
    if not call.taken:
        call.deliver(TooLate(f"the model was busy with other requests for {allowed_s:g} s"))


def _hand_over(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], outcome: Any) -> None:
    def settle() -> None:
        if future.done():
            return
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: the process is ending, and nobody waits
        log.debug("an answer came after the end")
