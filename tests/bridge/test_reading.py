"""The first look at a job: which are annotated at all, and when a new one is ready for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.cvat.errors import CvatGone, CvatRefused
from bridge.cvat.objects import FrameSizes, Job, Label
from bridge.detect import reading
from bridge.detect.reading import Work, read_job, wait_for_data
from bridge.runs.endings import RunEnds

JOB: dict[str, Any] = {
    "id": 5, "task_id": 7, "project_id": 1, "type": "annotation", "dimension": "2d", "state": "new",
    "stage": "annotation", "start_frame": 3, "stop_frame": 6, "updated_date": "now", "consensus_replicas": 0,
}  # fmt: skip


class Cvat:
    """What a real one answers, told in advance."""

    def __init__(self, job: Any = None, task: list[Any] | None = None, request: list[Any] | None = None) -> None:
        self._job = {**JOB, **(job or {})} if not isinstance(job, Exception) else job
        self._task = task or []
        self._request = request or []

    async def job(self, job_id: int) -> Job:
        return Job.of(_told(self._job))

    async def frame_sizes(self, job_id: int) -> FrameSizes:
        frames = [{"height": 10 * n, "width": 20 * n} for n in range(1, 5)]
        return FrameSizes.of({"frames": frames, "deleted_frames": [4]})

    async def labels(self, job_id: int) -> list[Label]:
        parts = [{"id": 9, "name": "a", "attributes": [{"id": 3, "name": "x", "values": ["1"], "default_value": "1"}]}]
        return [Label.of({"id": 8, "name": "frame", "type": "skeleton", "sublabels": parts})]

    async def task(self, task_id: int) -> dict[str, Any]:
        return _told(self._task.pop(0))

    async def data_request(self, task_id: int) -> dict[str, Any]:
        return _told(self._request.pop(0))


def _told(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_frames_carry_the_tasks_own_numbers_and_their_sizes() -> None:
    work = asyncio.run(read_job(Cvat(), 5, 7))  # type: ignore[arg-type]
    assert [(f.number, f.height, f.width) for f in work.frames] == [(3, 10, 20), (5, 30, 60), (6, 40, 80)]
    assert work.deleted == 1
    assert Work.from_json(work.to_json()) == work


def test_a_videos_one_size_is_every_frames() -> None:
    sizes = FrameSizes.of({"frames": [{"height": 240, "width": 320}], "deleted_frames": []})
    assert [sizes.size_hw(n) for n in (0, 1, 29)] == [(240, 320)] * 3


@pytest.mark.parametrize(
    ("job", "state", "told"),
    [
        ({"dimension": "3d"}, "skipped", "3D"),
        ({"type": "ground_truth"}, "skipped", "ground truth"),
        ({"type": "consensus_replica"}, "skipped", "consensus"),
        ({"consensus_replicas": 3}, "skipped", "consensus"),
        (CvatGone("gone"), "failed", "job 5 of task 7 is not in CVAT"),
        (CvatRefused("no", 403), "failed", "may not touch job 5"),
        (CvatRefused("no", 401), "failed", "user and password"),
    ],
)
def test_what_is_not_annotated_says_why(job: Any, state: str, told: str) -> None:
    with pytest.raises(RunEnds) as ended:
        asyncio.run(read_job(Cvat(job, [{"size": 3}]), 5, 7))  # type: ignore[arg-type]
    assert ended.value.state == state
    assert told in ended.value.reason


FINISHED, STARTED = {"status": "finished"}, {"status": "started"}


@pytest.mark.parametrize(
    ("task", "request_"),
    [
        ([{"size": 3}], [FINISHED]),
        ([{"size": 3}], [CvatGone("forgotten")]),
        ([{"size": 3}], [CvatRefused("another user's", 403)]),
        ([{}, {"size": 0}, {"size": 3}], [FINISHED]),
        ([{"size": 3}, {"size": 3}], [STARTED, FINISHED]),  # the size is set while the request still runs
    ],
)
def test_a_new_job_waits_for_its_data(task: list[Any], request_: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    cvat = Cvat(task=task, request=request_)
    asyncio.run(_wait(cvat, monkeypatch))
    assert cvat._task == cvat._request == []


def test_data_that_could_not_be_made_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    cvat = Cvat(task=[{"size": 3}], request=[{"status": "failed", "message": "No media data found"}])
    with pytest.raises(RunEnds, match="No media data found"):
        asyncio.run(_wait(cvat, monkeypatch))


def test_data_that_never_comes_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "DATA_PATIENCE_S", 0.01)
    cvat = Cvat(task=[{}] * 1000)
    with pytest.raises(RunEnds, match="no data"):
        asyncio.run(_wait(cvat, monkeypatch))


async def _wait(cvat: Cvat, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def tell(message: str) -> None:
        told.append(message)

    monkeypatch.setattr(reading, "DATA_PAUSE_S", 0.001)
    monkeypatch.setattr(reading, "DATA_FIRST_PAUSE_S", 0.001)
    await wait_for_data(cvat, 5, 7, tell)  # type: ignore[arg-type]
    assert all("task 7" in message for message in told)
