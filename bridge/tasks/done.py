"""Whether the work on a task is done, as CVAT says when it is asked."""

from __future__ import annotations

import asyncio

from bridge.cvat.client import Cvat
from bridge.cvat.objects import Job
from bridge.runs.endings import RunEnds


async def refuse_unfinished(cvat: Cvat, task_id: int, cause: str, *, look_again_s: float) -> None:
    """RunEnds (skipped) unless every annotation job of the task is done as `cause` means it.

    task_completed: accepted; jobs_completed: completed, at whatever stage. As an event may be told before what it tells
    of can be read, there is a second look.
    """
    if await _why_not(cvat, task_id, cause) is not None:
        await asyncio.sleep(look_again_s)
        if (reason := await _why_not(cvat, task_id, cause)) is not None:
            raise RunEnds("skipped", reason)


async def _why_not(cvat: Cvat, task_id: int, cause: str) -> str | None:
    jobs = await cvat.jobs_of_task(task_id)
    open_ones = [job for job in jobs if not _is_done(job, cause)]
    if not jobs:
        await cvat.task(task_id)  # one that is not there has no jobs either
        return f"task {task_id} has no jobs"
    if not open_ones:
        return None
    wanted = "accepted" if cause == "task_completed" else "completed"
    some = "is" if len(open_ones) == 1 else "are"
    return f"{len(open_ones)} of {len(jobs)} jobs of task {task_id} {some} not {wanted} yet (job {open_ones[0].id})"


def _is_done(job: Job, cause: str) -> bool:
    return job.state == "completed" and (cause != "task_completed" or job.stage == "acceptance")
