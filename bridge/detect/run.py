"""A detection run, step by step. Each can be repeated: what is done stands in the tables and is not done again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from functools import partial
from typing import Any, TypeVar

import orjson

from bridge import log, metrics
from bridge.detect.convert import Converter, Findings, found_by, outputs_for
from bridge.detect.frames import Frame, fetch_ahead
from bridge.detect.infer import Answered, Question, SetAside
from bridge.detect.labels import defaults_of
from bridge.detect.reading import Work, read_job, reading_of, wait_for_data
from bridge.events.parameters import DetectParameters
from bridge.log import boundary
from bridge.models.catalog import ModelCard
from bridge.runs.endings import Draining, RunEnds
from bridge.runs.services import Live, Services
from bridge.store import progress, runs
from bridge.store.claims import Claim, ClaimLost
from bridge.store.ledger import Book
from bridge.store.progress import FrameResult, Reading
from bridge.writeback.desk import Desk
from bridge.writeback.sheets import CHUNK_ROWS, Sheet, sheets_of
from kelp.errors import NotFound, NotReady
from kelp.settings.model import settings_of

T = TypeVar("T")
IMAGES_A_REQUEST = 4
BYTES_A_REQUEST = 24 << 20
REQUESTS_AT_ONCE = 2
# Decided here and not by the model, so it is never sent to one.
_OURS = {"shape", "conv_mask_to_poly"}


class Detection:
    """One claimed run on one job."""

    def __init__(self, services: Services, live: Live, claim: Claim, row: Any) -> None:
        self._services = services
        self._live = live
        self._claim = claim
        self._job_id: int = row.job_id
        self._instance: str = row.instance
        self._cause: str = row.cause
        self._again: bool = row.again
        self._parameters = DetectParameters.from_json(orjson.loads(row.parameters))
        self._wake: asyncio.Task[None] | None = None
        self._card: ModelCard | None = None
        self._opened: tuple[Work, Desk] | None = None

    # Steps

    async def read(self) -> None:
        """Look at the job, wake the model meanwhile. RunEnds where there is nothing to do."""
        if self._again:
            await self._start_anew()
        if self._cause == "created":
            await wait_for_data(self._services.cvat, self._job_id, self._wait)
            self._live.waiting = False
        self.wake()
        work, card = await asyncio.gather(read_job(self._services.cvat, self._job_id), self._model())
        self._refuse_without_labels(work, card)
        known = await self._services.database.read(partial(progress.load_reading, run_id=self._claim.run_id))
        if known is None:
            annotations = await self._services.cvat.annotations(self._job_id)
            held = sum(len(annotations.get(kind) or ()) for kind in ("shapes", "tags", "tracks"))
            if held and self._parameters.existing == "skip":
                raise RunEnds("skipped", f"job {self._job_id} holds {held} shapes already (existing=skip)")
            known = reading_of(work, annotations)
        reading = Reading(work.to_json(), known.shapes, known.tags)
        record = self._record(work, card)
        await self._write(progress.save_reading, reading=reading, frames_total=len(work.frames), details=record)
        boundary("job_read", run=self._claim.run_id)

    async def annotate(self) -> None:
        """Frames → model → shapes, stored and written as they come."""
        self.wake()
        work, desk = await self._desk()
        card = await self._model()
        done = {frame: error for frame, _, error in await self._finished()}
        answered = [frame for frame, error in done.items() if error is None]
        await desk.write(answered)
        pending = [frame.number for frame in work.frames if frame.number not in done]
        if pending:
            await self._ready(card)
            await self._stream(work, card, desk, pending)

    async def settle(self) -> None:
        """Take away what is not wanted any more; record what write-back found."""
        _, desk = await self._desk()
        await desk.settle([frame for frame, _, error in await self._finished() if error is None])
        tally = desk.tally
        counted = {
            "shapes_kept": tally.kept, "shapes_deleted": tally.deleted, "shapes_touched": tally.touched,
            "shapes_covered": tally.covered,
        }  # fmt: skip
        await self._note({name: n for name, n in counted.items() if n})

    async def verdict(self) -> tuple[str, str | None]:
        """How the run ends, now that everything is written."""
        finished = await self._finished()
        failed = [(frame, error) for frame, _, error in finished if error is not None]
        if not failed:
            return "completed", None
        first = f"frame {failed[0][0]}: {failed[0][1]}"
        if len(failed) == len(finished):
            return "failed", f"no frame could be answered; {first}"
        return "completed_with_errors", f"{len(failed)} of {len(finished)} frames were set aside; {first}"

    # Waking the model

    def wake(self) -> None:
        """Start the model, if nobody has, while the rest goes on."""
        if self._wake is None:
            self._wake = asyncio.create_task(self._wake_model())
            self._wake.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _wake_model(self) -> None:
        patience_s = (await self._model()).start_timeout_s
        await self._services.v2.wait_ready(self._parameters.model, timeout_s=patience_s)

    def reset(self) -> None:
        """Before a step is tried again: believe the tables, not what this object remembers."""
        self._opened = None
        self._card = None
        if self._wake is not None and self._wake.done():
            self._wake = None

    async def close(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._wake

    async def _ready(self, card: ModelCard) -> None:
        """Return once the model is ready; the run says that it waits."""
        assert self._wake is not None
        started = time.monotonic()
        done, _ = await asyncio.wait({self._wake}, timeout=0.2)
        while not done:
            await self.go_on()
            waited = time.monotonic() - started
            await self._wait(f"waiting for {card.name} to start ({waited:.0f} s)")
            done, _ = await asyncio.wait({self._wake}, timeout=2.0)
            if done:
                metrics.COLD_START.labels(card.name).observe(time.monotonic() - started)
        try:
            self._wake.result()
        except NotFound:
            raise RunEnds("failed", f"there is no model '{card.name}' (any more)") from None
        except NotReady as error:
            raise RunEnds(
                "failed", f"{card.name} did not start within {card.start_timeout_s:.0f} s: {error.message}"
            ) from None
        if self._live.waiting:
            self._live.waiting = False
            await self._write(runs.mark_active, state="running", message=None)

    async def _model(self) -> ModelCard:
        if self._card is None:
            try:
                self._card = await self._services.catalog.card(self._parameters.model)
            except NotFound:
                raise RunEnds("failed", f"there is no model '{self._parameters.model}' (any more)") from None
        return self._card

    def _refuse_without_labels(self, work: Work, card: ModelCard) -> None:
        """Where the card names the labels, a project that has none of them is told so before anything is woken."""
        if card.labels:
            converter = self._converter(work, card)
            names = [label.name for label in work.labels]
            if reason := converter.resolution(card.labels, found_by(card.task)).why_nothing(names):
                raise RunEnds("failed", reason)

    # Streaming

    async def _stream(self, work: Work, card: ModelCard, desk: Desk, pending: Sequence[int]) -> None:
        converter = self._converter(work, card)
        targets = converter.resolution(card.labels, found_by(card.task)).targets if card.labels else {}
        question = Question(
            self._services.v2,
            card.name,
            outputs_for(targets),
            {name: value for name, value in self._parameters.settings.items() if name not in _OURS},
        )
        fetch = partial(self._services.cvat.frame, self._job_id)
        findings = Findings()
        waiting: list[tuple[int, list[Sheet]]] = []
        since = time.monotonic()
        frames = fetch_ahead(fetch, pending)
        async with contextlib.aclosing(frames), contextlib.aclosing(self._answers(question, frames)) as answers:
            async for outcome in answers:
                results, found = await asyncio.to_thread(converter.convert, outcome)
                findings.add(found)
                self._refuse_strange_labels(work, converter, outcome)
                await self._store(results)
                waiting += [(r.frame, sheets_of(r.frame, r.bodies, r.tags)) for r in results if r.error is None]
                rows = sum(len(sheets) for _, sheets in waiting)
                if rows >= CHUNK_ROWS or time.monotonic() - since >= self._services.patience.flush_s:
                    await self._flush(desk, waiting)
                    since = time.monotonic()
        await self._flush(desk, waiting)
        await self._note(findings.to_json())

    async def _flush(self, desk: Desk, waiting: list[tuple[int, list[Sheet]]]) -> None:
        if waiting:
            await desk.write([frame for frame, _ in waiting], [sheet for _, sheets in waiting for sheet in sheets])
            waiting.clear()

    async def _answers(
        self, question: Question, frames: AsyncIterator[Frame]
    ) -> AsyncGenerator[Answered | SetAside, None]:
        """Answers in the order of the frames, a few requests on their way at once."""
        asked: deque[asyncio.Task[list[Answered | SetAside]]] = deque()
        try:
            async for batch in _batches(frames):
                await self.go_on()
                asked.append(asyncio.create_task(question.ask(batch)))
                if len(asked) >= REQUESTS_AT_ONCE:
                    for outcome in await self._unless_halted(asked.popleft()):
                        yield outcome
            while asked:
                for outcome in await self._unless_halted(asked.popleft()):
                    yield outcome
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    def _refuse_strange_labels(self, work: Work, converter: Converter, outcome: Answered | SetAside) -> None:
        """The same for a model whose card names no labels: its answers do."""
        if isinstance(outcome, Answered):
            detections = outcome.detections
            task = self._card.task if self._card else None
            found = converter.resolution(detections.labels, found_by(task, detections))
            if reason := found.why_nothing([label.name for label in work.labels]):
                raise RunEnds("failed", reason)

    async def _store(self, results: Sequence[FrameResult]) -> None:
        for result in results:
            if result.error is not None:
                log.event("frame_set_aside", run=self._claim.run_id, frame=result.frame, reason=result.error)
        await self._write(progress.save_frames, results=results)
        boundary("frames_stored", run=self._claim.run_id, frames=[result.frame for result in results])

    # Helpers

    async def go_on(self) -> None:
        """Raises where the run must stop here: the process drains, somebody cancelled it, or it is ours no more."""
        if self._services.stopping:
            raise Draining
        if time.monotonic() > self._services.lease_until:
            raise ClaimLost(self._claim.run_id)
        if self._live.cancelled:
            raise RunEnds("cancelled", "cancelled; what was written before stays")

    async def pause(self, seconds: float) -> None:
        """Sleep, unless the run must stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._live.halt.wait(), seconds)
        await self.go_on()

    async def _unless_halted(self, task: asyncio.Task[T]) -> T:
        """The task's result, or the reason to stop, whichever comes first."""
        halted = asyncio.create_task(self._live.halt.wait())
        try:
            await asyncio.wait({task, halted}, return_when=asyncio.FIRST_COMPLETED)
            await self.go_on()
            return await task
        finally:
            halted.cancel()
            task.cancel()

    async def _wait(self, message: str) -> None:
        await self.go_on()
        self._live.waiting = True
        self._services.news.set()
        await self._write(runs.mark_active, state="waiting", message=message)

    async def _write(self, change: Any, **values: Any) -> Any:
        return await self._services.database.write(partial(change, claim=self._claim, **values))

    async def _note(self, details: dict[str, Any]) -> None:
        if details:
            await self._write(runs.save_details, details=details)

    async def _finished(self) -> list[tuple[int, int, str | None]]:
        return await self._services.database.read(partial(progress.finished_frames, run_id=self._claim.run_id))

    async def _start_anew(self) -> None:
        """`again`: what is in doubt is cleared up first, then everything stored is forgotten; the ledger stays."""
        reading = await self._services.database.read(partial(progress.load_reading, run_id=self._claim.run_id))
        if reading is not None:
            await self._desk()
        await self._write(progress.forget)
        self._opened = None

    async def _desk(self) -> tuple[Work, Desk]:
        if self._opened is not None:
            return self._opened
        reading = await self._services.database.read(partial(progress.load_reading, run_id=self._claim.run_id))
        assert reading is not None
        work = Work.from_json(reading.job)
        card = await self._model()
        desk = Desk(
            self._services.database,
            self._services.cvat,
            claim=self._claim,
            book=Book(self._instance, self._job_id, card.base),
            reading=reading,
            defaults=defaults_of(work.labels),
            replace=self._parameters.existing == "replace",
            go_on=self.go_on,
            grace_s=self._services.patience.grace_s,
        )
        await desk.open()
        self._opened = work, desk
        return self._opened

    def _converter(self, work: Work, card: ModelCard) -> Converter:
        sizes = {frame.number: (frame.height, frame.width) for frame in work.frames}
        return Converter(work.labels, self._parameters, sizes, task=card.task, points=card.points)

    def _record(self, work: Work, card: ModelCard) -> dict[str, Any]:
        """What the run was made with."""
        known = settings_of(card.task) if card.task else {}
        effective = {name: setting.default for name, setting in known.items()}
        resolution = self._converter(work, card).resolution(card.labels, found_by(card.task))
        return {
            "model": {
                "name": card.name,
                "base": card.base,
                "version": card.version,
                "title": card.title,
                "sha256": dict(card.sha256),
            },
            "settings": {**effective, **card.settings, **self._parameters.settings},
            "labels": {name: target.kind for name, target in resolution.targets.items()},
            "labels_missing": list(resolution.missing),
            "frames_deleted": work.deleted,
        }


async def _batches(frames: AsyncIterator[Frame]) -> AsyncIterator[list[Frame]]:
    """Frames in order, several a request."""
    batch: list[Frame] = []
    size = 0
    async for frame in frames:
        if batch and (len(batch) >= IMAGES_A_REQUEST or size + len(frame.image) > BYTES_A_REQUEST):
            yield batch
            batch, size = [], 0
        batch.append(frame)
        size += len(frame.image)
    if batch:
        yield batch
