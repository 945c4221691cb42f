"""The model and its three kinds of threads: one prepares batches, one runs the model, a few read its answers.

The model's thread only ever runs the model: while it works on one batch, the next is prepared and the answers of the
last are read.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from kelp.errors import InvalidRequest, KelpError, OutOfMemory
from predictors.model import Model
from predictors.serving.batcher import Batcher
from predictors.serving.budget import PixelBudget
from predictors.serving.call import Work
from predictors.serving.metrics import PredictorMetrics

log = logging.getLogger("kelp.engine")
RETRY_AFTER_MEMORY_S = 10.0
STRIKES = 3
"""Single images in a row that the model breaks on, before it has to prove itself on its own warm-up items."""


@dataclass(slots=True)
class _Prepared:
    works: list[Work]
    batch: Any


class Engine:
    """Runs batches through a model, and finds out which image is at fault where one fails.

    A batch that fails is halved and its halves tried alone, down to the image at fault; the others are answered. Where
    the device's memory was too small, batches stay as small as the half from then on.
    """

    def __init__(self, batcher: Batcher, budget: PixelBudget, metrics: PredictorMetrics) -> None:
        self._batcher = batcher
        self._budget = budget
        self._metrics = metrics
        self._prepared: SimpleQueue[_Prepared | None] = SimpleQueue()
        self._answers = ThreadPoolExecutor(answer_threads(), thread_name_prefix="answer")
        # Raw answers may hold device memory: the model waits rather than run ahead of their reading.
        self._unread = threading.BoundedSemaphore(answer_threads() + 1)
        self._threads: list[threading.Thread] = []
        self._strikes = 0
        self._since: float | None = None
        self._failed_for_good: Callable[[BaseException], None] = lambda error: None

    def start(self, load: Callable[[], Model], failed: Callable[[BaseException], None]) -> None:
        """Run `load` in the model's thread, then serve the model it gives.

        `failed` gets what `load` raises, and what ends one of the threads ever after.
        """
        self._failed_for_good = failed
        self._start("model", lambda: self._model_thread(load))

    def close(self, timeout_s: float) -> bool:
        """Finish what is queued and end the threads. False where a prediction takes longer than `timeout_s`."""
        self._batcher.close()
        ends = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        self._answers.shutdown(wait=False)
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def busy_s(self) -> float:
        """How long the present prediction has been running; 0 between two."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def drop(self, work: Work) -> None:
        """An image that nobody wants any more."""
        self._settle(work, None)

    def _start(self, name: str, run: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                run()
            except BaseException as error:  # a server without this thread is of no use: the process ends
                self._failed_for_good(error)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _prepare_thread(self) -> None:
        while (works := self._batcher.take()) is not None:
            started = time.monotonic()
            try:
                batch = self._model.preprocess([work.item for work in works])
            except Exception as error:  # the model's own code: the batch is looked into
                self._failed(works, error, "preprocess")
                self._batcher.done()
                continue
            self._observe("preprocess", started, works)
            self._prepared.put(_Prepared(works, batch))
            del works, batch
        self._prepared.put(None)

    def _model_thread(self, load: Callable[[], Model]) -> None:
        self._model = load()
        self._start("prepare", self._prepare_thread)
        while (prepared := self._prepared.get()) is not None:
            self._run(prepared)
            del prepared  # its images and tensors are free while this thread waits

    def _run(self, prepared: _Prepared) -> None:
        works = prepared.works
        if all(work.call.over for work in works):
            self._batcher.done()
            for work in works:
                self.drop(work)
            return
        self._unread.acquire()
        for work in works:
            work.call.take()
        self._metrics.batch(len(works))
        self._since = started = time.monotonic()
        error: BaseException | None = None
        try:
            raw = self._model.predict(prepared.batch)
        except Exception as raised:  # the model's own code: the batch is looked into
            # Its frames hold the batch, on the device too; they must be gone before the memory is given back.
            error = raised.with_traceback(None) if self._model.is_out_of_memory(raised) else raised
        self._since = None
        self._observe("predict", started, works)
        if error is None:
            self._strikes = 0
            self._batcher.done()
            self._answers.submit(self._read, raw, works)
            return
        self._unread.release()
        prepared.batch = None
        self._failed(works, error, "predict")
        self._batcher.done()
        if len(works) == 1 and not isinstance(error, InvalidRequest) and not self._model.is_out_of_memory(error):
            self._strike()

    def _strike(self) -> None:
        """An image that breaks the model is one thing; a model, or a device, that is broken is another.

        What fails on the model's own items too will not mend itself: the error ends the process, and a fresh one takes
        over.
        """
        self._strikes += 1
        if self._strikes >= STRIKES:
            self._strikes = 0
            warm_up(self._model)

    def _read(self, raw: Any, works: list[Work]) -> None:
        started = time.monotonic()
        try:
            results = self._model.postprocess(raw, [work.item for work in works])
            if len(results) != len(works):
                raise RuntimeError(f"postprocess gave {len(results)} results for {len(works)} images")
        except Exception as error:  # the model's own code: the batch is looked into
            self._failed(works, error, "postprocess")
            return
        finally:
            del raw
            self._unread.release()
        self._observe("postprocess", started, works)
        for work, result in zip(works, results, strict=True):
            self._settle(work, result)

    def _failed(self, works: list[Work], error: BaseException, phase: str) -> None:
        memory = self._model.is_out_of_memory(error)
        if memory:
            del error
            self._model.free_cached_memory()
            if len(works) > 1:
                self._batcher.shrink(len(works) // 2)
                log.warning("out of memory", extra={"phase": phase, "batch": len(works), "now": len(works) // 2})
        if len(works) > 1:
            half = len(works) // 2
            self._batcher.put_again([works[:half], works[half:]])
        elif memory:
            reason = OutOfMemory("too large for the device's memory", retry_after_s=RETRY_AFTER_MEMORY_S)
            self._settle(works[0], reason)
        elif isinstance(error, InvalidRequest):
            self._settle(works[0], error)
        else:
            log.error("the model failed on an image", extra={"phase": phase}, exc_info=error)
            self._settle(works[0], KelpError("the model failed on this image"))

    def _settle(self, work: Work, result: Any) -> None:
        self._budget.release(work.pixels)
        if work.call.settle(work.index, result):
            self._answers.submit(work.call.finish)

    def _observe(self, phase: str, started: float, works: list[Work]) -> None:
        ended = time.monotonic()
        self._metrics.phase(phase, ended - started)
        for call in {work.call for work in works}:
            call.add_phase(phase, started, ended)


def warm_up(model: Model) -> None:
    """One prediction of the model's own warm-up items, all the way through."""
    items = list(model.warm_up_items())
    if items:
        model.postprocess(model.predict(model.preprocess(items)), items)


def answer_threads() -> int:
    """Threads that read answers and encode them."""
    return max(2, min(4, processors()))


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
