"""The bridge is killed wherever something was just done or is about to be done: nothing is lost, nothing doubled."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from tests.chaos.boundaries import MORE, ONCE, TASKS, Place, in_the_source
from tests.chaos.conftest import Expect
from tests.support.cvat import wait_for
from tests.support.loop import FRAMES, Loop, passed_by

STRICT = 0.6  # a conf_threshold that leaves some of the shapes out

KILLS = [
    *(pytest.param("sqlite", place, id=f"sqlite-{place}") for place in ONCE),
    *(pytest.param("sqlite", place, id=f"sqlite-{place}", marks=pytest.mark.slow) for place in MORE),
    *(pytest.param("postgres", place, id=f"postgres-{place}", marks=pytest.mark.slow) for place in (*ONCE, *MORE)),
]


def test_every_boundary_of_the_code_has_a_kill() -> None:
    assert in_the_source() == {place.at for place in (*ONCE, *TASKS)}


def test_a_run_passes_the_boundaries_as_often_as_there_are_kills(loop: Loop, expect: Expect) -> None:
    with loop.job() as job:
        job.start()
        first = loop.wait_run(job)
        second = loop.annotate(job, conf_threshold=STRICT)
        loop.check(job, expect(conf_threshold=STRICT))
    passed = Counter(str(Place(line["at"], fields=_step(line))) for line in passed_by(loop.bridge, first["id"]))
    assert passed == Counter(
        str(Place(place.at, fields=place.fields)) for place in (*ONCE, *MORE) if not place.second_run
    )
    deletes = [line["at"] for line in passed_by(loop.bridge, second["id"]) if "delete" in line["at"]]
    assert deletes == [place.at for place in ONCE if place.second_run]


def _step(line: dict[str, Any]) -> dict[str, Any]:
    return {"step": line["step"]} if "step" in line else {}


def test_the_usual_job_is_worth_killing_for(expect: Expect) -> None:
    usual, strict = expect(), expect(conf_threshold=STRICT)
    assert {frame for frame, *_ in usual} == set(range(FRAMES))
    assert 10 <= sum(strict.values()) <= sum(usual.values()) - 10
    assert strict <= usual


@pytest.mark.parametrize(("loop", "place"), KILLS, indirect=["loop"])
def test_killed_there_and_started_again_the_run_ends_as_if_nothing_had_happened(
    loop: Loop, place: Place, expect: Expect
) -> None:
    expected = expect(conf_threshold=STRICT) if place.second_run else expect()
    with loop.job() as job:
        runs = 1
        if place.second_run:
            loop.annotate(job)
            runs = 2
        loop.hold(place.at, place.nth, **place.fields)
        if place.second_run:
            loop.ask(job, conf_threshold=STRICT)
        else:
            job.start()
        loop.wait_held()
        loop.kill()
        job.draw(1, offset=7.0)
        loop.start()
        loop.wait_run(job, count=runs)
        loop.check(job, expected)
        loop.check_calm()
        if not place.second_run:
            loop.check_ownership(job, expected)


def test_a_run_that_had_ended_is_not_begun_again_at_every_start(loop: Loop) -> None:
    """Killed when the run was finished but its workflow was not: that is put right once, not tried for ever."""
    with loop.job() as job:
        loop.hold("run_ended")
        job.start()
        loop.wait_held()
        loop.kill()
        loop.start()
        loop.wait_run(job)
        with closing(sqlite3.connect(loop.folder / "bridge.db.workflows")) as workflows:
            query = "SELECT count(*) FROM workflow_status WHERE status IN ('PENDING', 'ENQUEUED')"
            wait_for(lambda: workflows.execute(query).fetchone() == (0,))
