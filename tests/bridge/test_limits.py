"""Whose turn it is: people who wait for one job first, and no task so big that others starve."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from bridge.runs.limits import BATCH, INTERACTIVE, Limits, choose

LIMITS = Limits(at_once=8, a_model=4, a_project=4)


class Run(NamedTuple):
    id: str
    job_id: int
    project_id: int | None = 1
    model: str = "m"
    priority: int = INTERACTIVE
    instance: str = "http://cvat"
    target_id: int | None = None
    kind: str = "detect"
    task_id: int | None = None


def batch(count: int, project: int, model: str = "m", first: int = 0) -> list[Run]:
    return [Run(f"b{project}-{n}", 1000 * project + n + first, project, model, BATCH) for n in range(count)]


def begin(queued: list[Run], active: list[Run] | None = None, free: int = 8) -> list[str]:
    return choose(queued, active or [], free=free, limits=LIMITS)


def test_a_single_job_goes_before_batches() -> None:
    assert begin([*batch(20, 1), Run("one", 5, 2)], free=1) == ["one"]


def test_a_batch_leaves_a_place_for_somebody_who_comes_later() -> None:
    started = begin(batch(100, 1))
    assert len(started) == LIMITS.a_project - 1
    active = batch(3, 1)
    # Same model, same project, one free place in the process: still room for one job.
    assert begin([*batch(100, 1, first=3), Run("one", 5, 1)], active, free=1) == ["one"]
    assert begin(batch(100, 1, first=3), active) == []


def test_the_last_free_place_is_never_a_batchs() -> None:
    assert begin(batch(5, 1), free=1) == []
    assert len(begin(batch(5, 1), free=2)) == 1


def test_batches_of_several_projects_take_turns() -> None:
    queued = [*batch(50, 1, "a"), *batch(50, 2, "b"), *batch(50, 3, "c")]
    projects = Counter(run_id.split("-")[0] for run_id in begin(queued))
    assert sorted(projects.values()) == [2, 2, 3]


def test_a_model_has_a_cap_over_all_projects() -> None:
    queued = [Run(f"r{n}", n, n) for n in range(20)]
    assert begin(queued) == ["r0", "r1", "r2", "r3"]
    other = [*queued, Run("other", 99, 99, "n")]
    assert begin(other, [Run(f"a{n}", 500 + n, 500 + n) for n in range(4)]) == ["other"]


def test_runs_on_one_job_never_overlap() -> None:
    assert begin([Run("first", 5), Run("second", 5), Run("other", 6)]) == ["first", "other"]
    assert begin([Run("second", 5)], [Run("first", 5)]) == []
    # Jobs of another CVAT have numbers of their own.
    assert begin([Run("second", 5, instance="http://b")], [Run("first", 5)]) == ["second"]


RUNS = st.lists(
    st.builds(
        Run,
        id=st.uuids().map(str),
        job_id=st.integers(1, 12),
        project_id=st.none() | st.integers(1, 3),
        model=st.sampled_from("mn"),
        priority=st.sampled_from([INTERACTIVE, BATCH]),
        instance=st.just("http://cvat"),
        target_id=st.none(),
        kind=st.just("detect"),
        task_id=st.integers(1, 3),
    )
    | st.builds(
        Run,
        id=st.uuids().map(str),
        job_id=st.just(0),
        project_id=st.none() | st.integers(1, 3),
        model=st.sampled_from(["", "m"]),
        priority=st.just(BATCH),
        instance=st.just("http://cvat"),
        target_id=st.integers(7, 8),
        kind=st.sampled_from(["crop", "remove-grid"]),
        task_id=st.integers(1, 3),
    ),
    max_size=30,
    unique_by=lambda run: run.id,
)


@given(RUNS, st.integers(0, 8))
def test_no_cap_is_ever_passed_and_nobody_waits_without_need(queued: list[Run], free: int) -> None:
    queued.sort(key=lambda run: run.priority)
    started = [next(run for run in queued if run.id == run_id) for run_id in begin(queued, free=free)]
    assert len(started) <= free
    subjects = {(run.job_id, run.target_id and (run.kind, run.task_id, run.target_id)) for run in started}
    assert len(subjects) == len(started)
    for of, cap in (("model", LIMITS.a_model), ("project_id", LIMITS.a_project)):
        assert all(count <= cap for count in Counter(getattr(run, of) for run in started).values())
    assert not begin([run for run in queued if run not in started], started, free=free - len(started))
