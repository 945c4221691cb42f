"""PostgreSQL is restarted, crashes or is away for a while in the middle of a run: the same bridge goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.conftest import Expect
from tests.support.cvat import CvatServer, wait_for
from tests.support.loop import ADOPT_S, Loop
from tests.support.postgres import Postgres
from tests.support.predictor import Predictor


@pytest.fixture
def loop(tmp_path: Path, cvat_server: CvatServer, predictor: Predictor, postgres: Postgres) -> Iterator[Loop]:
    """On a database of the test's own: in a cluster that stops, other tests' bridges would suffer too."""
    with Loop(tmp_path, cvat_server, predictor.url, database=postgres.database()) as loop:
        loop.start()
        loop.bridge.wait_log("ready")
        yield loop


@pytest.mark.parametrize(
    ("at", "nth", "mode"),
    [
        ("chunk_answered", 2, "immediate"),
        *(
            pytest.param(at, nth, mode, marks=pytest.mark.slow)
            for at, nth in (
                ("run_claimed", 1),
                ("job_read", 1),
                ("frames_stored", 2),
                ("chunk_open", 2),
                ("run_ended", 1),
            )
            for mode in ("fast", "immediate")
        ),
    ],
)
def test_a_run_goes_on_after_the_server_restarted(
    loop: Loop, postgres: Postgres, expect: Expect, at: str, nth: int, mode: str
) -> None:
    with loop.job() as job:
        loop.hold(at, nth)
        job.start()
        loop.wait_held()
        postgres.restart(mode)
        loop.release()
        loop.wait_run(job)
        loop.check(job, expect())
        loop.check_calm()
        loop.check_ownership(job, expect())


@pytest.mark.slow
@pytest.mark.parametrize("away_s", [0.0, ADOPT_S, 3 * ADOPT_S])
@pytest.mark.parametrize("at", ["frames_stored", "chunk_open", "chunk_closed"])
def test_a_run_waits_for_a_server_that_is_away(
    loop: Loop, postgres: Postgres, expect: Expect, at: str, away_s: float
) -> None:
    """Also for longer than other bridges would wait for this one."""
    with loop.job() as job:
        loop.hold(at)
        job.start()
        loop.wait_held()
        postgres.stop()
        try:
            loop.release()
            wait_for(lambda: loop.bridge.ready() == (503, ["the database does not answer"]))
            time.sleep(away_s)
        finally:
            postgres.start()
        loop.wait_run(job)
        loop.check(job, expect())
        loop.check_ownership(job, expect())


@pytest.mark.slow
def test_a_webhook_that_could_not_be_written_down_is_caught_up_on(
    loop: Loop, postgres: Postgres, expect: Expect
) -> None:
    with loop.job() as job:
        postgres.stop()
        try:
            job.start()
            told = job.told()
        finally:
            postgres.start()
        assert told[-1] == 503
        loop.wait_run(job)
        loop.check(job, expect())
