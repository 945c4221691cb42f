"""Reading the source task: its frames, whose job each is in, and the points that people or models put on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge.cvat.client import Cvat
from bridge.cvat.errors import CvatGone
from bridge.cvat.objects import FrameSizes, Job
from bridge.events.task_parameters import TaskParameters
from bridge.models.card import ModelCard
from bridge.runs.endings import RunEnds
from bridge.tasks.mark import mark_of
from bridge.tasks.names import new_names
from bridge.tasks.plan import LeftOut, Plan, PlannedFrame
from bridge.tasks.points import CORNERS, Wanted, choose_label, points_of
from kelp.geometry.quadrat import quadrat_fault

GRID_SHAPE = (9, 13)


async def make_plan(
    cvat: Cvat, task_id: int, parameters: TaskParameters, cards: Sequence[ModelCard], model: ModelCard | None
) -> Plan:
    """What `parameters` ask to be made of the task. `cards`: of all models, which know what their labels mean; `model`:
    that removes the grid. RunEnds where that cannot be told; frames that cannot be used are `left_out`.
    """
    task = await _task(cvat, task_id)
    project = await _target(cvat, parameters.target)
    jobs = await cvat.jobs_of_task(task_id)
    labels = await cvat.tasks.labels(task_id)
    if model is None:
        wanted = choose_label(labels, cards, count=CORNERS, noun="quadrat", name=parameters.label)
    else:
        rows, columns = model.grid_shape or GRID_SHAPE
        wanted = choose_label(labels, cards, count=rows * columns, noun="grid")
    settings = _settings(parameters, model)
    meta = await cvat.tasks.meta(task_id)
    sizes = FrameSizes.of(meta)
    size = int(meta.get("size") or len(sizes.sizes_hw))
    numbers = [number for number in range(size) if number not in sizes.deleted]
    names = {number: _name(meta["frames"], number) for number in numbers}
    points = await _points(cvat, jobs, wanted)
    renamed = new_names(names, settings["format"])
    frames, left_out = [], []
    for number in numbers:
        size_hw = sizes.size_hw(number) or (0, 0)
        found = _checked(points.get(number, "it is in no job"), size_hw, wanted)
        if isinstance(found, str):
            left_out.append(LeftOut(number, names[number], found))
        else:
            frames.append(PlannedFrame(number, names[number], renamed[number], size_hw, tuple(found)))
    several = len(jobs) > 1
    return Plan(
        kind=parameters.kind,
        task=task_id,
        target=parameters.target,
        mark=mark_of(parameters, task_id),
        name=task["name"],
        subset=task.get("subset") or "",
        segment_size=int(task.get("segment_size") or 0) if several else 0,
        overlap=task.get("overlap") if several else None,
        image_quality=int(task.get("image_quality") or 70),
        organization=project.get("organization"),
        label=wanted.label,
        settings=settings,
        frames=tuple(frames),
        left_out=tuple(left_out),
        deleted=size - len(numbers),
        open_jobs=sum(job.state != "completed" for job in jobs),
        model={} if model is None else {"name": model.name, "version": model.version, "sha256": dict(model.sha256)},
    )


async def _task(cvat: Cvat, task_id: int) -> dict[str, Any]:
    try:
        task = await cvat.task(task_id)
    except CvatGone:
        raise RunEnds("failed", f"task {task_id} is not in CVAT (any more)") from None
    if (task.get("dimension") or "2d") != "2d":
        raise RunEnds("skipped", f"task {task_id} is {task['dimension'].upper()}: these pictures are flat")
    if not task.get("size"):
        raise RunEnds("failed", f"task {task_id} has no frames")
    return task


async def _target(cvat: Cvat, project_id: int) -> dict[str, Any]:
    try:
        return await cvat.project(project_id)
    except CvatGone:
        raise RunEnds("failed", f"the target, project {project_id}, is not in CVAT (any more)") from None


def _settings(parameters: TaskParameters, model: ModelCard | None) -> dict[str, Any]:
    """A grid's come from its model's card where nobody gave them; the form must be known for the names."""
    if model is None:
        return dict(parameters.settings)
    return {"format": model.settings.get("format") or "png", **parameters.settings}


async def _points(cvat: Cvat, jobs: Sequence[Job], wanted: Wanted) -> dict[int, list[float] | str]:
    """By frame: its points, or why it has none. Where jobs overlap, the one of the lower id counts."""
    found: dict[int, list[float] | str] = {}
    for job in sorted(jobs, key=lambda job: job.id):
        own = [number for number in range(job.start_frame, job.stop_frame + 1) if number not in found]
        if not own:
            continue
        shapes: dict[int, list[Any]] = {number: [] for number in own}
        for shape in (await cvat.annotations(job.id)).get("shapes") or ():
            if shape["label_id"] == wanted.label_id and shape["frame"] in shapes:
                shapes[shape["frame"]].append(shape)
        found |= {number: points_of(shapes[number], wanted) for number in own}
    return found


def _checked(points: list[float] | str, size_hw: tuple[int, int], wanted: Wanted) -> list[float] | str:
    """The points, or why they will not do. Whether 117 of them are a grid, the model tells."""
    if isinstance(points, str) or wanted.count != CORNERS:
        return points
    return quadrat_fault(np.array(points, np.float64).reshape(-1, 2), size_hw) or points


def _name(frames: Sequence[Any], number: int) -> str:
    """The frame's file; a video has one for all of its frames."""
    return str(frames[number if number < len(frames) else 0]["name"])
