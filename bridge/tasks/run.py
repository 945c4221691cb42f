"""A run that makes a task from a task, step by step. Each can be repeated: what is done is not done again."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import orjson

from bridge import log
from bridge.cvat.errors import CvatGone, CvatRefused
from bridge.detect.frames import Frame, fetch_ahead
from bridge.detect.reading import why_refused
from bridge.detect.wake import Waking
from bridge.events.task_parameters import TaskParameters
from bridge.log import boundary
from bridge.models.suited import unsuited
from bridge.runs.endings import RunEnds, reason_of
from bridge.runs.reins import Reins
from bridge.runs.services import Live, Services
from bridge.store import outputs, progress, runs
from bridge.store.claims import Claim
from bridge.store.outputs import Place
from bridge.store.progress import FrameResult, Reading
from bridge.tasks.ahead import NextStage
from bridge.tasks.done import refuse_unfinished
from bridge.tasks.inpaint import remove_grid
from bridge.tasks.mark import mark_of
from bridge.tasks.output import NOTHING_MADE, OutputTask, existing
from bridge.tasks.picture import Unusable, crop
from bridge.tasks.plan import LeftOut, Plan, PlannedFrame, told
from bridge.tasks.planning import make_plan
from kelp import tracing
from kelp.errors import KelpError

# Frames of a run in the making; while one is uploaded another one is made.
FRAMES_AT_ONCE = 2
FETCH_AHEAD, FETCH_AHEAD_BYTES = 2, 32 << 20
# A decoded photograph weighs a hundred times its file: of all runs together only so many at once, and in threads of
# their own, as each thread keeps some of the memory it once needed.
_DARKROOM = ThreadPoolExecutor(2, thread_name_prefix="kelp-crop")


class Making:
    """One claimed run on one task."""

    def __init__(self, services: Services, live: Live, claim: Claim, row: Any) -> None:
        self._services = services
        self._claim = claim
        self._row = row
        self._task_id: int = row.task_id
        self._parameters = TaskParameters.from_json(orjson.loads(row.parameters))
        self._place = Place(row.instance, mark_of(self._parameters, self._task_id))
        self._plan: Plan | None = None
        self.reins = Reins(services, live, claim)
        self._model: Waking | None = None
        if self._parameters.model:
            self._model = Waking(services.models, services.catalog, self._parameters.model, self.reins)
        self._next = NextStage(services, self._parameters.target)
        self.steps: Sequence[tuple[str, Callable[[], Awaitable[None]]]] = (
            ("read", self.read), ("make", self.make), ("complete", self.complete), ("settle", self.settle),
        )  # fmt: skip

    async def read(self) -> None:
        """Look whether the task is done and what is to be made of it. RunEnds where that is nothing."""
        if await self._load() is None:
            if self._row.cause != "manual":
                grace_s = self._services.patience.grace_s
                await refuse_unfinished(self._services.cvat, self._task_id, self._row.cause, look_again_s=grace_s)
            if (other := await existing(self._services, self._place)) is not None:
                raise RunEnds("skipped", f"task {other} exists")
            if self._model is not None:
                self._model.begin()
            plan = await self._make_plan()
            await self._write(runs.save_details, details=plan.details())
            plan.refuse(skip_invalid=self._parameters.skip_invalid)
            await self._write(
                progress.save_reading,
                reading=Reading(plan.to_json(), frozenset(), frozenset()),
                frames_total=len(plan.frames) + len(plan.left_out),
                details=plan.details(),
            )
            self._plan = plan
        elif self._row.attempt > 1:
            await self._refuse_finished()
        plan = await self._known_plan()
        if plan.left_out:
            await self._store([FrameResult(frame.number, error=frame.reason) for frame in plan.left_out])
        boundary("task_read", run=self._claim.run_id)

    async def make(self) -> None:
        """Frame by frame: fetched, made, uploaded."""
        plan = await self._known_plan()
        output = self._output(plan)
        task_id = await output.ensure()
        done = {frame for frame, _, _ in await self._finished()}
        pending = [frame for frame in plan.frames if frame.number not in done]
        if not pending:
            return
        await output.begin_upload(task_id)
        if self._model is not None:
            with tracing.span("wake", {"kelp.model": self._parameters.model}):
                await self._model.until_ready()
            if (seconds := self._model.cold_start_s) is not None:
                await self._write(runs.save_details, details={"cold_start_s": round(seconds, 3)})
        await self._make_all(output, task_id, pending)

    async def complete(self) -> None:
        """Have CVAT make the new task's frames of what was uploaded, in one step."""
        plan = await self._known_plan()
        output = self._output(plan)
        await output.complete(await output.ensure(), await self._names(plan))

    async def settle(self) -> None:
        """Look at what has become of it."""
        plan = await self._known_plan()
        output = self._output(plan)
        await output.settle(await output.ensure(), await self._names(plan))

    async def verdict(self) -> tuple[str, str | None]:
        """How the run ends, now that the task is there."""
        left_out = await self._left_out(await self._known_plan())
        if not left_out:
            return "completed", None
        return "completed_with_errors", told(left_out, len(await self._finished()))

    async def give_up(self) -> str:
        """The run ends without its task: what was begun of that goes, so that nobody takes it for one."""
        plan = await self._load()
        if plan is None:
            return NOTHING_MADE
        try:
            told, is_gone = await self._output(plan).give_up()
        except KelpError as error:
            log.event("output_left", run=self._claim.run_id, error=error)  # a retry goes on from it
            return f"its begun task could not be deleted: {error.message}"
        if is_gone:
            await self._write(progress.forget)
        return told

    async def why_failed(self, error: BaseException) -> str:
        """What ended the run, for people."""
        if isinstance(error, CvatGone) and await self._services.cvat.tasks.find(self._task_id) is None:
            return f"task {self._task_id} is not in CVAT (any more)"
        if isinstance(error, CvatRefused):
            return why_refused(error, f"task {self._task_id} or project {self._parameters.target}")
        return reason_of(error)

    def reset(self) -> None:
        """Before a step is tried again: believe the tables, not what this object remembers."""
        self._plan = None
        if self._model is not None:
            self._model.reset()

    async def close(self) -> None:
        await self._next.close()
        if self._model is not None:
            await self._model.close()

    async def _make_plan(self) -> Plan:
        card = None
        if self._model is not None:
            card = await self._model.card()
            if (reason := unsuited(card, self._row.kind)) is not None:
                raise RunEnds("failed", reason)
        cards = self._services.catalog.cards
        return await make_plan(self._services.cvat, self._task_id, self._parameters, cards, card)

    async def _make_all(self, output: OutputTask, task_id: int, pending: Sequence[PlannedFrame]) -> None:
        by_number = {frame.number: frame for frame in pending}
        left = len(pending)
        self._next.made(left)
        fetch = partial(self._services.cvat.tasks.frame, self._task_id)
        frames = fetch_ahead(fetch, list(by_number), frames=FETCH_AHEAD, most_bytes=FETCH_AHEAD_BYTES)
        making: deque[asyncio.Task[None]] = deque()
        try:
            async with contextlib.aclosing(frames) as stream:
                async for frame in stream:
                    await self.reins.go_on()
                    work = self._make_one(output, task_id, by_number[frame.number], frame)
                    making.append(asyncio.create_task(work))
                    if len(making) >= FRAMES_AT_ONCE:
                        await self.reins.unless_halted(making.popleft())
                        left -= 1
                        self._next.made(left)
                while making:
                    await self.reins.unless_halted(making.popleft())
        finally:
            for task in making:
                task.cancel()
            await asyncio.gather(*making, return_exceptions=True)

    async def _make_one(self, output: OutputTask, task_id: int, planned: PlannedFrame, frame: Frame) -> None:
        run = self._claim.run_id
        with tracing.span("make frame", {"kelp.frame": planned.number}):
            try:
                made = await self._made(planned, frame.image)
            except Unusable as error:
                left_out = LeftOut(planned.number, planned.name, str(error))
                if not self._parameters.skip_invalid:
                    hint = "; skip_invalid=true goes on without such frames"
                    raise RunEnds("failed", f"{left_out}{hint}") from None
                log.event("frame_left_out", run=run, frame=planned.number, reason=str(error))
                await self._store([FrameResult(planned.number, error=str(error))])
                return
            boundary("frame_made", run=run, frame=planned.number)
            await output.upload(task_id, planned.new_name, made)
            boundary("frame_uploaded", run=run, frame=planned.number)
            await self._store([FrameResult(planned.number)])
            boundary("frame_kept", run=run, frame=planned.number)

    async def _made(self, planned: PlannedFrame, image: bytes) -> bytes:
        plan = await self._known_plan()
        points = list(planned.points)
        if self._model is None:
            settings = plan.settings
            work = partial(
                crop, image, points, planned.size_hw,
                size=settings["size"], form=settings["format"], quality=settings["quality"],
            )  # fmt: skip
            return await asyncio.get_running_loop().run_in_executor(_DARKROOM, work)
        model = self._parameters.model
        return await remove_grid(self._services.models, model, image, points, planned.size_hw, plan.settings)

    async def _names(self, plan: Plan) -> list[str]:
        """Of the new task's frames, in order. RunEnds where none could be made."""
        refused = {frame.number for frame in await self._left_out(plan)}
        names = [frame.new_name for frame in plan.frames if frame.number not in refused]
        if not names:
            left_out = await self._left_out(plan)
            raise RunEnds("failed", told(left_out, len(left_out)))
        return names

    async def _left_out(self, plan: Plan) -> tuple[LeftOut, ...]:
        names = {frame.number: frame.name for frame in plan.frames} | {left.number: left.name for left in plan.left_out}
        return tuple(
            LeftOut(frame, names[frame], error) for frame, _, error in await self._finished() if error is not None
        )

    async def _refuse_finished(self) -> None:
        """An earlier attempt may have made the task, without some frames: nothing can be added to it."""
        known = await self._services.database.read(partial(outputs.load, place=self._place))
        if known is not None and known.finished and (other := await existing(self._services, self._place)) is not None:
            raise RunEnds("skipped", f"task {other} exists")

    def _output(self, plan: Plan) -> OutputTask:
        return OutputTask(self._services, self.reins, self._claim, self._place, plan)

    async def _known_plan(self) -> Plan:
        plan = await self._load()
        assert plan is not None
        return plan

    async def _load(self) -> Plan | None:
        if self._plan is None:
            known = await self._services.database.read(partial(progress.load_reading, run_id=self._claim.run_id))
            self._plan = None if known is None else Plan.from_json(known.job)
        return self._plan

    async def _finished(self) -> list[tuple[int, int, str | None]]:
        return await self._services.database.read(partial(progress.finished_frames, run_id=self._claim.run_id))

    async def _store(self, results: Sequence[FrameResult]) -> None:
        await self._write(progress.save_frames, results=results)

    async def _write(self, change: Any, **values: Any) -> Any:
        return await self._services.database.write(partial(change, claim=self._claim, **values))
