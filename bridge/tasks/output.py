"""The new task in CVAT: exactly one for a mark, whatever happens between two requests.

CVAT may make a task and its answer never arrive; a bridge may end at any moment. So the mark goes into the task as it
is made, and it is looked for before every try. Files are uploaded into the found task one by one, each of which is
there whole or not at all, and one last request makes frames of them: until then nobody sees any of it.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from bridge.cvat.errors import CvatGone, CvatRefused, InDoubt
from bridge.log import boundary
from bridge.runs.endings import RunEnds
from bridge.runs.reins import Reins
from bridge.runs.services import Services
from bridge.store import outputs, runs
from bridge.store.claims import Claim
from bridge.store.outputs import Output, Place
from bridge.tasks.plan import Plan

_POLL_S, _LONGEST_POLL_S = 0.5, 10.0
NOTHING_MADE = "nothing was made"
# A request that was made and is nowhere: somebody cancelled it.
_LOOKS_FOR_REQUEST = 5
# However large a task is, CVAT has made its frames by then.
_MOST_S = 86_400.0


class OutputTask:
    """The output of one claimed run."""

    def __init__(self, services: Services, reins: Reins, claim: Claim, place: Place, plan: Plan) -> None:
        self._services = services
        self._tasks = services.cvat.tasks
        self._reins = reins
        self._claim = claim
        self._plan = plan
        self._place = place

    async def ensure(self) -> int:
        """The task's id; it is made if there is none. RunEnds (skipped) where another run has made it already."""
        known = await self._known()
        mine = known.task_id if known is not None and known.run_id == self._claim.run_id else None
        if mine is not None and await self._tasks.find(mine) is not None:
            return mine
        if (other := await existing(self._services, self._place)) is not None:
            raise RunEnds("skipped", f"task {other} exists")
        empty = await self._tasks.marked(self._plan.mark)
        # One into which nothing was uploaded yet is as good as new; what others may hold nobody knows.
        fresh = next((int(task["id"]) for task in empty if "data" not in task), None)
        for task in empty:
            if task["id"] != fresh:
                await self._tasks.delete(task["id"])
        await self._write(outputs.want)
        boundary("output_wanted", run=self._claim.run_id)
        task_id = fresh if fresh is not None else await self._create()
        boundary("output_created", run=self._claim.run_id)
        await self._write(outputs.keep, task_id=task_id)
        change = partial(runs.save_details, claim=self._claim, details={"output": task_id})
        await self._services.database.write(change)
        boundary("output_kept", run=self._claim.run_id)
        return task_id

    async def begin_upload(self, task_id: int) -> None:
        await self._tasks.begin_upload(task_id)

    async def upload(self, task_id: int, name: str, content: bytes) -> None:
        await self._tasks.upload(task_id, name, content)

    async def complete(self, task_id: int, names: list[str]) -> None:
        """Have CVAT make the frames of what was uploaded; return once they are there."""
        pause = _POLL_S
        looks, ends = 0, time.monotonic() + _MOST_S
        while True:
            task = await self._tasks.find(task_id)
            if task is None:
                raise RunEnds("failed", f"task {task_id} was deleted while it was being filled")
            state, message = await data_state(self._services, task_id)
            if state == "failed":
                raise RunEnds("failed", f"CVAT could not make task {task_id} of its files: {message}")
            if task.get("size") and state in {None, "finished"}:
                break
            if time.monotonic() > ends:
                raise RunEnds("failed", f"CVAT did not make task {task_id} of its files within a day")
            if state in {None, "finished"}:
                if looks % _LOOKS_FOR_REQUEST == 0:
                    boundary("output_filled", run=self._claim.run_id)
                    await self._finish(task_id, names)
                    boundary("output_sent", run=self._claim.run_id)
                looks += 1
            await self._reins.wait_for_others(f"CVAT makes task {task_id}")
            await self._reins.pause(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_S)
        await self._reins.resume()

    async def settle(self, task_id: int, names: list[str]) -> None:
        """Look whether the task is what was wanted, and take away what a late request may have made beside it."""
        meta = await self._tasks.meta(task_id)
        there = [frame["name"] for frame in meta["frames"]]
        if there != names:
            raise RunEnds("failed", f"task {task_id} has {len(there)} frames that are not the {len(names)} sent to it")
        for task in await self._tasks.marked(self._plan.mark):
            if task["id"] != task_id and not task.get("size"):
                await self._tasks.delete(task["id"])
        await self._write(outputs.finish)
        boundary("output_finished", run=self._claim.run_id)

    async def give_up(self) -> tuple[str, bool]:
        """Take an unfinished task of this run away again, unless CVAT is filling it. What has become of it, for people,
        and whether it is gone.
        """
        known = await self._known()
        if known is None or known.run_id != self._claim.run_id:
            return NOTHING_MADE, False
        if known.finished:
            return f"task {known.task_id} was made before, and stays", False
        gone = []
        for task in await self._tasks.marked(self._plan.mark):
            if task.get("size") or (await data_state(self._services, task["id"]))[0] in {"queued", "started"}:
                return f"task {task['id']} stays: CVAT makes its frames already", False
            await self._tasks.delete(task["id"])
            gone.append(str(task["id"]))
        await self._write(outputs.forget)
        return f"its begun task {', '.join(gone)} was deleted" if gone else NOTHING_MADE, True

    async def _create(self) -> int:
        plan = self._plan
        fields: dict[str, Any] = {"name": plan.name, "project_id": plan.target, "bug_tracker": plan.mark}
        if plan.subset:
            fields["subset"] = plan.subset
        if plan.segment_size:
            fields["segment_size"] = plan.segment_size
        if plan.overlap:
            fields["overlap"] = plan.overlap
        try:
            return await self._tasks.create(fields, plan.organization)
        except InDoubt:
            # It may still arrive: the next try looks for it first.
            await asyncio.sleep(self._services.patience.grace_s)
            raise

    async def _finish(self, task_id: int, names: list[str]) -> None:
        """From here on CVAT is at it, by this request or by one before."""
        try:
            await self._tasks.finish_upload(task_id, names, self._plan.image_quality)
        except CvatRefused as error:
            busy = error.cvat_status == 409
            if not busy and not (error.cvat_status == 400 and "more data is not supported" in error.message):
                raise

    async def _known(self) -> Output | None:
        return await self._services.database.read(partial(outputs.load, place=self._place))

    async def _write(self, change: Any, **values: Any) -> None:
        await self._services.database.write(partial(change, claim=self._claim, place=self._place, **values))


async def existing(services: Services, place: Place) -> int | None:
    """The task that was made for this mark before, with all of its frames (or with those that CVAT makes just now)."""
    tasks = services.cvat.tasks
    known = await services.database.read(partial(outputs.load, place=place))
    if known is not None and known.finished and known.task_id is not None and await tasks.find(known.task_id):
        return known.task_id
    for task in await tasks.marked(place.mark):
        if task.get("size") or (await data_state(services, task["id"]))[0] in {"queued", "started"}:
            return int(task["id"])
    return None


async def data_state(services: Services, task_id: int) -> tuple[str | None, str]:
    """State and message of the request that gives a task its data; None where there is none (any more)."""
    try:
        request = await services.cvat.data_request(task_id)
    except (CvatGone, CvatRefused):
        return None, ""
    return str(request.get("status") or ""), " ".join(str(request.get("message") or "?").split())[-300:]
