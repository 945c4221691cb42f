"""The first step of a run: what the job is, which of its frames are to be annotated, and what is there already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from bridge.cvat.client import Cvat
from bridge.cvat.errors import CvatGone, CvatRefused, CvatUnavailable
from bridge.cvat.objects import Attribute, Job, Label
from bridge.runs.endings import RunEnds, reason_of
from bridge.store.progress import Reading

# A task's data may be under way when its jobs are announced.
DATA_PATIENCE_S = 3600.0
DATA_FIRST_PAUSE_S = 0.5
DATA_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class JobFrame:
    """number: the task's own, as annotations have it; height, width: as CVAT knows them (0: unknown)."""

    number: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do on a job. deleted: how many of its frames are deleted in CVAT."""

    job: Job
    frames: tuple[JobFrame, ...]
    labels: tuple[Label, ...]
    deleted: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "job": asdict(self.job),
            "frames": [[frame.number, frame.height, frame.width] for frame in self.frames],
            "labels": [asdict(label) for label in self.labels],
            "deleted": self.deleted,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Work:
        return cls(
            job=Job(**data["job"]),
            frames=tuple(JobFrame(*frame) for frame in data["frames"]),
            labels=tuple(_label(label) for label in data["labels"]),
            deleted=data["deleted"],
        )


async def read_job(cvat: Cvat, job_id: int, task_id: int | None) -> Work:
    """The job with its frames and labels. RunEnds where it is none that a model should annotate.

    `task_id`: the job's task, as far as it is known before.
    """
    try:
        job = await cvat.job(job_id)
        refuse_unsuited(job)
        sizes, labels = await asyncio.gather(cvat.frame_sizes(job_id), cvat.labels(job_id))
    except (CvatGone, CvatRefused) as error:
        raise RunEnds("failed", await why_failed(error, cvat, job_id, task_id)) from None
    frames = [
        JobFrame(number, *(sizes.size_hw(number - job.start_frame) or (0, 0)))
        for number in range(job.start_frame, job.stop_frame + 1)
        if number not in sizes.deleted
    ]
    deleted = job.stop_frame - job.start_frame + 1 - len(frames)
    return Work(job, tuple(frames), tuple(labels), deleted)


def refuse_unsuited(job: Job) -> None:
    if job.dimension != "2d":
        raise RunEnds("skipped", f"job {job.id} is {job.dimension.upper()}: these models see images only")
    if job.type != "annotation":
        raise RunEnds("skipped", f"job {job.id} is a {job.type.replace('_', ' ')} job")
    if job.consensus_replicas:
        raise RunEnds("skipped", f"job {job.id} is annotated by consensus: its replicas are people's work")


async def wait_for_data(cvat: Cvat, job_id: int, task_id: int | None, tell: Callable[[str], Awaitable[None]]) -> None:
    """Return once the job's task has all of its data. RunEnds after an hour, or where the upload failed."""
    deadline = time.monotonic() + DATA_PATIENCE_S
    pause = DATA_FIRST_PAUSE_S
    try:
        task_id = (await cvat.job(job_id)).task_id
        while not await _has_data(cvat, task_id):
            if time.monotonic() > deadline:
                raise RunEnds("failed", f"task {task_id} had no data after an hour")
            await tell(f"waiting for the data of task {task_id}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, DATA_PAUSE_S)
    except (CvatGone, CvatRefused) as error:
        raise RunEnds("failed", await why_failed(error, cvat, job_id, task_id)) from None


async def _has_data(cvat: Cvat, task_id: int) -> bool:
    if not (await cvat.task(task_id)).get("size"):
        return False
    try:
        request = await cvat.data_request(task_id)
    except (CvatGone, CvatRefused):  # forgotten some minutes after its end; another user's is forbidden
        return True
    if request.get("status") == "failed":
        raise RunEnds("failed", f"the data of task {task_id} could not be made: {request.get('message') or '?'}")
    return request.get("status") == "finished"


def reading_of(work: Work, model: str, annotations: dict[str, Any]) -> Reading:
    """What is kept of the first look at the job. `model`: without its version, as the ledger knows it."""
    return Reading(
        job={**work.to_json(), "model": model},
        shapes=frozenset(shape["id"] for shape in annotations["shapes"]),
        tags=frozenset(tag["id"] for tag in annotations["tags"]),
    )


async def why_failed(error: BaseException, cvat: Cvat, job_id: int, task_id: int | None) -> str:
    """What ended a run on `job_id`, for people."""
    if isinstance(error, CvatGone):
        return await _what_is_gone(cvat, job_id, task_id) or error.message
    return why_refused(error, f"job {job_id}") if isinstance(error, CvatRefused) else reason_of(error)


async def _what_is_gone(cvat: Cvat, job_id: int, task_id: int | None) -> str | None:
    """Which of the two CVAT does not have: a 404 names only the path that was asked for. None where it has both."""
    if task_id is not None and not await _is_there(cvat.task(task_id)):
        return f"task {task_id} is not in CVAT (any more), and job {job_id} with it"
    if not await _is_there(cvat.job(job_id)):
        return f"job {job_id}{'' if task_id is None else f' of task {task_id}'} is not in CVAT (any more)"
    return None


async def _is_there(asked: Awaitable[Any]) -> bool:
    """False where CVAT says that there is no such thing; what it does not tell may be there."""
    try:
        await asked
    except CvatGone:
        return False
    except (CvatRefused, CvatUnavailable):
        pass
    return True


def why_refused(error: CvatRefused, what: str) -> str:
    if error.cvat_status == 401:
        return "CVAT does not accept the bridge's user and password (or token)"
    if error.cvat_status == 403:
        return f"the bridge's user in CVAT may not touch {what}"
    return error.message


def _label(data: dict[str, Any]) -> Label:
    attributes = tuple(Attribute(**{**a, "values": tuple(a["values"])}) for a in data["attributes"])
    return Label(data["id"], data["name"], data["type"], attributes, tuple(_label(s) for s in data["sublabels"]))
