"""A detection run, step by step. Each can be repeated: what is done stands in the tables and is not done again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import orjson

from bridge import log
from bridge.detect.convert import Converter, Findings, found_by, outputs_for
from bridge.detect.frames import fetch_ahead
from bridge.detect.infer import Answered, Question, SetAside
from bridge.detect.labels import defaults_of
from bridge.detect.reading import Work, read_job, reading_of, wait_for_data, why_failed
from bridge.detect.record import record_of
from bridge.detect.stream import answers
from bridge.detect.wake import Waking
from bridge.events.parameters import DetectParameters
from bridge.log import boundary
from bridge.models.card import ModelCard
from bridge.models.suited import unsuited
from bridge.runs.endings import RunEnds
from bridge.runs.reins import Reins
from bridge.runs.services import Live, Services
from bridge.store import progress, runs
from bridge.store.claims import Claim
from bridge.store.ledger import Book
from bridge.store.progress import FrameResult, Reading
from bridge.writeback.desk import Desk
from bridge.writeback.sheets import CHUNK_ROWS, Sheet, sheets_of
from kelp import tracing

# Decided here and not by the model, so it is never sent to one.
_OURS = {"shape", "conv_mask_to_poly"}


class Detection:
    """One claimed run on one job."""

    def __init__(self, services: Services, live: Live, claim: Claim, row: Any) -> None:
        self._services = services
        self._claim = claim
        self._row = row
        self._job_id: int = row.job_id
        self._task_id: int | None = row.task_id
        self._parameters = DetectParameters.from_json(orjson.loads(row.parameters))
        self._opened: tuple[Work, Desk] | None = None
        # What was read just now, for the step that comes next.
        self._seen: tuple[Reading, dict[str, Any] | None] | None = None
        self._settled: list[tuple[int, int, str | None]] | None = None
        self.reins = Reins(services, live, claim)
        self._model = Waking(services.models, services.catalog, self._parameters.model, self.reins)
        self.steps: Sequence[tuple[str, Callable[[], Awaitable[None]]]] = (
            ("read", self.read), ("annotate", self.annotate), ("settle", self.settle),
        )  # fmt: skip

    async def read(self) -> None:
        """Look at the job, wake the model meanwhile. RunEnds where there is nothing to do."""
        if self._row.again:
            await self._start_anew()
        if self._row.cause == "created":
            await wait_for_data(self._services.cvat, self._job_id, self._task_id, self.reins.wait_for_others)
            await self.reins.resume()
        self._model.begin()
        reading = read_job(self._services.cvat, self._job_id, self._task_id)
        work, card = await asyncio.gather(reading, self._model.card())
        if (reason := unsuited(card, self._row.kind)) is not None:
            raise RunEnds("failed", reason)
        resolution = self._converter(work, card).resolution(card.labels, found_by(card.task))
        if card.labels and (reason := resolution.why_nothing([label.name for label in work.labels])):
            raise RunEnds("failed", reason)
        known, annotations = await self._known(), None
        if known is None:
            annotations = await self._look()
            known = reading_of(work, card.base, annotations)
        found = Reading({**work.to_json(), "model": card.base}, known.shapes, known.tags)
        await self._write(
            progress.save_reading,
            reading=found,
            frames_total=len(work.frames),
            details=record_of(work, card, self._parameters, resolution),
        )
        self._seen = found, annotations
        boundary("job_read", run=self._claim.run_id)

    async def annotate(self) -> None:
        """Frames → model → shapes, stored and written as they come."""
        self._model.begin()
        work, desk = await self._desk()
        done = {frame: error for frame, _, error in await self._finished()}
        await desk.write([frame for frame, error in done.items() if error is None])
        pending = [frame.number for frame in work.frames if frame.number not in done]
        if pending:
            with tracing.span("wake", {"kelp.model": self._parameters.model}):
                await self._model.until_ready()
            if (seconds := self._model.cold_start_s) is not None:
                await self._write(runs.save_details, details={"cold_start_s": round(seconds, 3)})
            await self._stream(work, desk, pending)

    async def settle(self) -> None:
        """Take away what is not wanted any more; record what write-back found."""
        _, desk = await self._desk()
        self._settled = await self._finished()
        await desk.settle([frame for frame, _, error in self._settled if error is None])
        if details := desk.tally.to_json():
            await self._write(runs.save_details, details=details)

    async def verdict(self) -> tuple[str, str | None]:
        """How the run ends, now that everything is written."""
        finished = self._settled if self._settled is not None else await self._finished()
        failed = [(frame, error) for frame, _, error in finished if error is not None]
        if not failed:
            return "completed", None
        first = f"frame {failed[0][0]}: {failed[0][1]}"
        if len(failed) == len(finished):
            return "failed", f"no frame could be answered; {first}"
        return "completed_with_errors", f"{len(failed)} of {len(finished)} frames were set aside; {first}"

    async def give_up(self) -> str:
        return "what was written before stays"

    async def why_failed(self, error: BaseException) -> str:
        """What ended the run, for people."""
        return await why_failed(error, self._services.cvat, self._job_id, self._task_id)

    def reset(self) -> None:
        """Before a step is tried again: believe the tables, not what this object remembers."""
        self._opened = self._seen = self._settled = None
        self._model.reset()

    async def close(self) -> None:
        await self._model.close()

    async def _stream(self, work: Work, desk: Desk, pending: Sequence[int]) -> None:
        card = await self._model.card()
        converter = self._converter(work, card)
        targets = converter.resolution(card.labels, found_by(card.task)).targets
        parameters = {name: value for name, value in self._parameters.settings.items() if name not in _OURS}
        question = Question(self._services.models, card.name, outputs_for(targets), parameters)
        frames = fetch_ahead(partial(self._services.cvat.frame, self._job_id), pending)
        waiting: list[tuple[int, list[Sheet]]] = []
        since = time.monotonic()
        async with contextlib.aclosing(frames), contextlib.aclosing(answers(question, frames, self.reins)) as stream:
            async for outcome in stream:
                results, findings = await asyncio.to_thread(converter.convert, outcome)
                _refuse_strange_labels(work, card, converter, outcome)
                await self._store(results, findings)
                waiting += [(r.frame, sheets_of(r.frame, r.bodies, r.tags)) for r in results if r.error is None]
                rows = sum(len(sheets) for _, sheets in waiting)
                if rows >= CHUNK_ROWS or time.monotonic() - since >= self._services.patience.flush_s:
                    await _flush(desk, waiting)
                    since = time.monotonic()
        await _flush(desk, waiting)

    async def _store(self, results: Sequence[FrameResult], findings: Findings) -> None:
        for result in results:
            if result.error is not None:
                log.event("frame_set_aside", run=self._claim.run_id, frame=result.frame, reason=result.error)
        await self._write(progress.save_frames, results=results, counted=findings.to_json())
        boundary("frames_stored", run=self._claim.run_id, frames=[result.frame for result in results])

    async def _look(self) -> dict[str, Any]:
        """What the job holds before we write anything. RunEnds where that is reason enough to leave it alone."""
        annotations = await self._services.cvat.annotations(self._job_id)
        held = sum(len(annotations.get(kind) or ()) for kind in ("shapes", "tags", "tracks"))
        if held and self._parameters.existing == "skip":
            raise RunEnds("skipped", f"job {self._job_id} holds {held} shapes already (existing=skip)")
        return annotations

    async def _start_anew(self) -> None:
        """`again`: what is in doubt is cleared up first, then everything stored is forgotten; the ledger stays."""
        if await self._known() is not None:
            await self._desk()
        await self._write(progress.forget)
        self._opened = None

    async def _desk(self) -> tuple[Work, Desk]:
        if self._opened is None:
            reading, annotations = self._seen or (await self._known(), None)
            self._seen = None
            assert reading is not None
            work = Work.from_json(reading.job)
            desk = Desk(
                self._services.database,
                self._services.cvat,
                claim=self._claim,
                # By the reading: what is found is written even if the model is gone by then.
                book=Book(self._row.instance, self._job_id, reading.job["model"]),
                reading=reading,
                defaults=defaults_of(work.labels),
                replace=self._parameters.existing == "replace",
                go_on=self.reins.go_on,
                grace_s=self._services.patience.grace_s,
            )
            await desk.open(annotations)
            self._opened = work, desk
        return self._opened

    def _converter(self, work: Work, card: ModelCard) -> Converter:
        sizes = {frame.number: (frame.height, frame.width) for frame in work.frames}
        return Converter(work.labels, self._parameters, sizes, task=card.task, points=card.points)

    async def _known(self) -> Reading | None:
        return await self._services.database.read(partial(progress.load_reading, run_id=self._claim.run_id))

    async def _finished(self) -> list[tuple[int, int, str | None]]:
        return await self._services.database.read(partial(progress.finished_frames, run_id=self._claim.run_id))

    async def _write(self, change: Any, **values: Any) -> Any:
        return await self._services.database.write(partial(change, claim=self._claim, **values))


async def _flush(desk: Desk, waiting: list[tuple[int, list[Sheet]]]) -> None:
    if waiting:
        sheets = [sheet for _, of_frame in waiting for sheet in of_frame]
        with tracing.span("write shapes", {"kelp.frames": [frame for frame, _ in waiting], "kelp.shapes": len(sheets)}):
            await desk.write([frame for frame, _ in waiting], sheets)
        waiting.clear()


def _refuse_strange_labels(work: Work, card: ModelCard, converter: Converter, outcome: Answered | SetAside) -> None:
    """Of a model whose card names no labels, its answers do: RunEnds where the project has none of them."""
    if isinstance(outcome, Answered):
        found = converter.resolution(outcome.detections.labels, found_by(card.task, outcome.detections))
        if reason := found.why_nothing([label.name for label in work.labels]):
            raise RunEnds("failed", reason)
