"""How many runs work at once, so that one big task starves nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

INTERACTIVE, BATCH = 0, 1


@dataclass(frozen=True, slots=True)
class Limits:
    """at_once: running in one process; a_model, a_project: active in all processes, batches one less each, so that
    somebody who waits for one job always finds a place."""

    at_once: int = 8
    a_model: int = 4
    a_project: int = 4


def choose(queued: Iterable[Any], active: Iterable[Any], *, free: int, limits: Limits) -> list[str]:
    """Ids of the runs that begin now, of rows `queued` in the order of their turn, given the `active` ones.

    No job has two runs at once, and no task is made by two. Of batches, projects with fewer active runs go first.
    """
    active = list(active)
    busy = {_subject(run) for run in active}
    models = Counter(run.model for run in active)
    projects = Counter((run.instance, run.project_id) for run in active)
    chosen: list[str] = []
    waiting = list(queued)
    while len(chosen) < free:
        ready = [
            (run.priority, projects[(run.instance, run.project_id)] if run.priority else 0, place)
            for place, run in enumerate(waiting)
            if _subject(run) not in busy
            and models[run.model] < limits.a_model - run.priority
            and projects[(run.instance, run.project_id)] < limits.a_project - run.priority
            and len(chosen) < free - run.priority
        ]
        if not ready:
            break
        run = waiting.pop(min(ready)[2])
        chosen.append(run.id)
        busy.add(_subject(run))
        models[run.model] += 1
        projects[(run.instance, run.project_id)] += 1
    return chosen


def _subject(run: Any) -> tuple[Any, ...]:
    """What a run has for itself alone: a job, or the task that it makes."""
    if run.target_id is None:
        return run.instance, run.job_id
    return run.instance, run.kind, run.task_id, run.target_id
