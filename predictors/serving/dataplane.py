"""Where both edges meet: an inference request from its bytes to its rendered answer, whatever protocol it came by."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from kelp.card import Card
from kelp.card.metadata import model_metadata
from kelp.card.schema import Label
from kelp.codec import InferRequest, InferResponse
from kelp.errors import NotFound, NotReady
from predictors.model import Model
from predictors.serving.admission import Admission, Place
from predictors.serving.answers import Answerer
from predictors.serving.batcher import Batcher
from predictors.serving.budget import PixelBudget
from predictors.serving.call import Work
from predictors.serving.engine import Engine, processors, warm_up
from predictors.serving.inference import Inference
from predictors.serving.intake import Intake
from predictors.serving.lifecycle import Lifecycle
from predictors.serving.metrics import PredictorMetrics
from predictors.serving.plan import Plan, Planner
from predictors.serving.tracing import RequestTrace

log = logging.getLogger("kelp.serving")
T = TypeVar("T")
STUCK = 4
"""A prediction that takes so many times the limit of a request hangs: only a new process can help."""

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
        self._open: set[Inference[Any]] = set()
        # An image of the largest size may be decoded while another one is in the model.
        budget = PixelBudget(2 * card.limits.image_pixels)
        batcher = Batcher(card.batch.max_images, card.batch.window_ms / 1e3, self._drop)
        self._engine = Engine(batcher, budget, self.metrics)
        threads = max(2, min(8, processors()))
        self._intake = Intake(batcher, budget, max_pixels=card.limits.image_pixels, threads=threads)

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

    def check_live(self) -> None:
        """NotReady where a prediction hangs: it outlasts by far any request that it could be for."""
        busy_s = self._engine.busy_s
        if busy_s > STUCK * self.card.limits.request_seconds:
            raise NotReady(f"the model has not come back from a prediction for {busy_s:.0f} s", code="stuck")

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
        trace: RequestTrace | None = None,
    ) -> T:
        """The rendered answer.

        `parse` and `render` run in worker threads; `fields` gets what the log should say. `started`: when the request
        began to arrive, by `time.monotonic`; `timeout_s`: what the caller itself allows from then on. Raises KelpError
        with the status to answer, and whatever cancels the waiting task; the request is dropped then.
        """
        self.lifecycle.check()
        loaded = self._loaded
        assert loaded is not None  # it is ready
        allowed_s = self.admission.timeout_s(timeout_s)
        call = Inference(loaded.answerer, render, arrived=started, on_taken=place.taken)
        call.trace = trace
        call.expire_after(allowed_s)
        call.expire_in_queue_after(self.admission.limits.queue_seconds)

        def read() -> Plan:
            request = parse()
            self.check_name(request.model_name, request.model_version)
            call.plan = plan = loaded.planner.plan(request)
            fields.update(images=len(plan.images), id=request.id or None)
            if plan.timeout_s is not None and plan.timeout_s < allowed_s:
                call.shorten(plan.timeout_s)
            return plan

        self._open.add(call)
        self._intake.submit(call, read)
        try:
            return await call.answer
        finally:
            self._open.discard(call)
            call.end()
            fields["phases_ms"] = {name: round(seconds * 1e3, 2) for name, seconds in call.phases.items()}
            for name in ("decode", "queue", "encode"):
                if name in call.phases:
                    self.metrics.phase(name, call.phases[name])

    def note(
        self,
        protocol: str,
        code: int,
        seconds: float,
        request_id: str,
        fields: Mapping[str, Any],
        trace: RequestTrace | None = None,
    ) -> None:
        """Count and log an inference request that is over, by its HTTP status."""
        if trace is not None:
            trace.end(self.card.model_name, protocol, code, seconds, fields)
        self.metrics.request(protocol, code, seconds)
        if code != 200:
            self.metrics.rejected(str(fields.get("error_code") or ("caller_left" if code == LEFT else "internal")))
        facts = {"request_id": request_id, "protocol": protocol, "code": code, "ms": round(seconds * 1e3, 2)}
        log.log(logging.WARNING if code >= 500 else logging.INFO, "infer", extra={**facts, **fields})

    def _drop(self, work: Work) -> None:
        self._engine.drop(work)


class _Loaded(NamedTuple):
    """What depends on the loaded model."""

    planner: Planner
    answerer: Answerer
    labels: tuple[str, ...]
