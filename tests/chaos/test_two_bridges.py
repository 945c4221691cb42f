"""Several bridges on one PostgreSQL: what one of them cannot finish, another one does, and nothing is done twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.conftest import Expect
from tests.support.bridge import BridgeProcess
from tests.support.cvat import CvatServer
from tests.support.loop import Job, Loop
from tests.support.postgres import Postgres
from tests.support.predictor import Predictor


@pytest.fixture
def loop(tmp_path: Path, cvat_server: CvatServer, predictor: Predictor, postgres: Postgres) -> Iterator[Loop]:
    """On a database of the test's own, so that no other bridge of another test is waited for."""
    with Loop(tmp_path, cvat_server, predictor.url, database=postgres.database()) as loop:
        loop.start()
        yield loop


def held_in_the_middle(loop: Loop, job: Job, at: str, nth: int = 1) -> BridgeProcess:
    """The first bridge holds a run of `job`; the one that is returned was started after."""
    loop.hold(at, nth)
    job.start()
    loop.wait_held()
    return loop.start_another()


@pytest.mark.parametrize(
    ("at", "nth"),
    [
        ("chunk_answered", 2),
        *(
            pytest.param(at, nth, marks=pytest.mark.slow)
            for at, nth in (("run_accepted", 1), ("run_claimed", 1), ("frames_stored", 1), ("chunk_open", 2))
        ),
    ],
)
def test_the_runs_of_a_bridge_that_was_killed_for_good_are_adopted(
    loop: Loop, expect: Expect, at: str, nth: int
) -> None:
    with loop.job() as job:
        other = held_in_the_middle(loop, job, at, nth)
        loop.kill()
        loop.wait_run(job, bridge=other)
        loop.check(job, expect())


def test_a_bridge_that_stood_still_for_too_long_leaves_its_run_to_the_one_that_took_it_over(
    loop: Loop, expect: Expect
) -> None:
    with loop.job() as job:
        other = held_in_the_middle(loop, job, "chunk_closed")
        os.killpg(loop.bridge.process.pid, signal.SIGSTOP)
        loop.wait_run(job, bridge=other)
        loop.check(job, expect())
        loop.release()
        os.killpg(loop.bridge.process.pid, signal.SIGCONT)
        loop.bridge.wait_log("given_up_by_others")
        # It has a life after that: with the other gone, the next job is its own.
        assert other.terminate() == 0
        loop.annotate(job)
        loop.check(job, expect())
        loop.check_calm()


@pytest.mark.slow
def test_a_run_is_cancelled_through_any_bridge(loop: Loop) -> None:
    with loop.job(query="delay_s=0.5") as job:
        other = held_in_the_middle(loop, job, "frames_stored")
        (run,) = other.runs(job=job.id)
        assert other.post(f"/api/v1/runs/{run['id']}/cancel").status_code == 202
        loop.release()
        assert other.wait_run(run["id"])["state"] == "cancelled"


@pytest.mark.slow
def test_a_cancelled_run_stays_cancelled_when_its_bridge_dies(loop: Loop) -> None:
    with loop.job() as job:
        other = held_in_the_middle(loop, job, "frames_stored")
        (run,) = other.runs(job=job.id)
        assert other.post(f"/api/v1/runs/{run['id']}/cancel").status_code == 202
        loop.kill()
        assert other.wait_run(run["id"])["state"] == "cancelled"
        assert not job.found()


@pytest.mark.slow
def test_many_jobs_and_one_bridge_less_in_the_middle(loop: Loop, expect: Expect) -> None:
    with ExitStack() as stack:
        jobs = [stack.enter_context(loop.job(query="delay_s=0.1")) for _ in range(6)]
        other = loop.start_another()
        for job in jobs:
            job.start()
        loop.bridge.wait_log("boundary", at="chunk_answered")
        loop.kill()
        for job in jobs:
            loop.wait_run(job, bridge=other)
            loop.check(job, expect())
