"""The bridge is killed at moments that nobody chose, one or several times a run."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from tests.chaos.conftest import Expect
from tests.support.cvat import CvatServer
from tests.support.loop import Loop
from tests.support.predictor import Predictor

SEEDS = range(40)
IN_CHECK = 5
SLOWLY = "delay_s=0.1"  # each of the three requests to the model takes so long
MOST_KILLS = 3

MOMENTS = [
    *(pytest.param("sqlite", seed, marks=[] if seed < IN_CHECK else pytest.mark.slow) for seed in SEEDS),
    *(pytest.param("postgres", seed, marks=pytest.mark.slow) for seed in SEEDS),
]


@pytest.fixture(scope="session")
def usual_seconds(loops: Callable[[str], Loop]) -> float:
    """From a job's start in CVAT to the end of its run, when nobody disturbs it."""
    loop = loops("sqlite")
    loop.make_ready()
    took = []
    for _ in range(3):
        with loop.job(query=SLOWLY) as job:
            began = time.monotonic()
            job.start()
            loop.wait_run(job)
            took.append(time.monotonic() - began)
    return median(took)


@pytest.fixture(scope="session")
def start_seconds(tmp_path_factory: pytest.TempPathFactory, cvat_server: CvatServer, predictor: Predictor) -> float:
    """From nothing to a bridge that answers, on a new database."""
    with Loop(tmp_path_factory.mktemp("usual"), cvat_server, predictor.url) as loop:
        began = time.monotonic()
        loop.start()
        return time.monotonic() - began


@pytest.mark.parametrize(("loop", "seed"), MOMENTS, indirect=["loop"])
def test_killed_at_any_moment_the_run_ends_as_if_nothing_had_happened(
    loop: Loop, seed: int, expect: Expect, usual_seconds: float
) -> None:
    dice = random.Random(seed)
    kills = dice.choice(range(1, MOST_KILLS + 1))
    with loop.job(query=SLOWLY) as job:
        for number in range(kills):
            kill = threading.Timer(dice.uniform(0.0, usual_seconds), loop.kill)
            kill.start()
            if not number:
                job.start()
            kill.join()
            loop.start()
        job.draw(2, offset=5.0)
        loop.wait_run(job)
        loop.check(job, expect())
        loop.check_calm()
        loop.check_ownership(job, expect())


@pytest.mark.parametrize(
    ("database", "seed"),
    [
        ("sqlite", 0),
        *(pytest.param("sqlite", seed, marks=pytest.mark.slow) for seed in range(1, 5)),
        *(pytest.param("postgres", seed, marks=pytest.mark.slow) for seed in range(5)),
    ],
)
def test_killed_while_it_starts_for_the_first_time_it_starts_the_next_time(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    cvat_server: CvatServer,
    predictor: Predictor,
    expect: Expect,
    start_seconds: float,
    database: str,
    seed: int,
) -> None:
    """Its tables may be half made then."""
    dice = random.Random(seed)
    url = request.getfixturevalue("postgres").database() if database == "postgres" else ""
    with Loop(tmp_path, cvat_server, predictor.url, database=url) as loop:
        for _ in range(MOST_KILLS):
            loop.start(wait=False)
            time.sleep(dice.uniform(0.3, 1.0) * start_seconds)
            loop.kill()
        loop.start()
        with loop.job() as job:
            job.start()
            loop.wait_run(job)
            loop.check(job, expect())
