"""`kelp up` with its bridge and a sleeping model: a job started in CVAT is annotated, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.chaos.conftest import Expect
from tests.local.conftest import Start, Up, starter, write_card
from tests.support.bridge import FINISHED
from tests.support.cvat import SECRET, CvatServer, wait_for
from tests.support.loop import MODEL, Job, Loop
from tests.support.predictor import NUMPY_RUNTIME

SLOWLY = "delay_s=0.5"


class Platform:
    """`kelp up`, to be killed and started again on the same ports and files."""

    def __init__(self, loop: Loop, start: Start, server: CvatServer) -> None:
        self.loop = loop
        self._start = start
        self._settings = {
            **NUMPY_RUNTIME,
            "KELP_PORT": str(loop.port),
            "KELP_METRICS_PORT": "0",
            "KELP_HOST": server.bind_host,
            "KELP_PUBLIC_URL": f"http://{server.bridge_host}:{loop.port}",
            "KELP_RECONCILE_SECONDS": "1",
            "KELP_CVAT_URL": server.url,
            "KELP_CVAT_USER": server.user,
            "KELP_CVAT_PASSWORD": server.password,
            "KELP_WEBHOOK_SECRETS": SECRET,
            "KELP_DATABASE_URL": f"sqlite:///{loop.folder / 'bridge.db'}",
        }
        self.up: Up
        self.start()

    def start(self) -> None:
        self.up = self._start([sys.executable, "-m", "kelp.cli", "up"], **self._settings)
        self.up.wait_for("listening", listener="main")

    def part(self, module: str) -> psutil.Process:
        """The process that runs `module`."""
        return next(child for child in self.up.children() if module in child.cmdline())

    def runs(self, job: Job) -> list[Any]:
        try:
            found: list[Any] = httpx.get(
                f"http://127.0.0.1:{self.loop.port}/api/v1/runs", params={"job": job.id}, trust_env=False
            ).json()["runs"]
        except httpx.TransportError:  # the bridge is on its way back
            return []
        return found

    def wait_run(self, job: Job) -> Any:
        (run,) = wait_for(lambda: (runs := self.runs(job)) and runs[0]["state"] in FINISHED and runs)
        assert run["state"] == "completed", f"{run}\n{''.join(self.up.raw[-60:])}"
        return run


def bridge_dies(platform: Platform) -> None:
    platform.part("bridge").kill()


def model_dies(platform: Platform) -> None:
    platform.part("predictors.serving").kill()


def up_dies(platform: Platform) -> None:
    """Its children notice, and are gone before the next one starts or are ended by it."""
    os.kill(platform.up.process.pid, signal.SIGKILL)
    platform.up.process.wait(10)
    platform.start()


def all_die(platform: Platform) -> None:
    family = [*platform.up.children(), psutil.Process(platform.up.process.pid)]
    for process in family:
        process.kill()
    platform.up.process.wait(10)
    psutil.wait_procs(family, timeout=10)
    platform.start()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, cvat_server: CvatServer) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    write_card(
        folder / "models",
        MODEL,
        labels=[{"name": name, "type": "polygon"} for name in ("red", "green", "blue")],
        settings={"delay_s": 0.0},
        scale={"retention": 3},
    )
    with Loop(folder, cvat_server, "http://127.0.0.1:9") as loop, starter(folder) as start:
        yield Platform(loop, start, cvat_server)


def test_a_started_job_wakes_the_model_is_annotated_and_the_model_goes_to_sleep_again(
    platform: Platform, expect: Expect
) -> None:
    assert platform.up.state(MODEL) == "asleep"
    with platform.loop.job() as job:
        job.start()
        platform.wait_run(job)
        assert job.found() == expect()
        assert job.persons_now() == job.persons
        wait_for(lambda: platform.up.state(MODEL) == "asleep")
        # Its process is on the way out when the state says so.
        wait_for(lambda: [child.cmdline()[-1:] for child in platform.up.children()] == [["bridge"]])


@pytest.mark.parametrize(
    "accident",
    [all_die, *(pytest.param(one, marks=pytest.mark.slow) for one in (bridge_dies, model_dies, up_dies))],
)
def test_whatever_dies_in_the_middle_the_run_ends_as_if_nothing_had_happened(
    platform: Platform, expect: Expect, accident: Callable[[Platform], None]
) -> None:
    with platform.loop.job(frames=10, query=SLOWLY) as job:
        job.start()
        wait_for(lambda: any(run["frames"]["done"] for run in platform.runs(job)))
        accident(platform)
        run = platform.wait_run(job)
        assert run["frames"] == {"total": 10, "done": 10, "set_aside": 0}
        found = job.found()
        assert {shape: count for shape, count in found.items() if shape[0] < 6} == expect()
        assert sum(found.values()) == run["shapes"]["written"]
        assert set(found.values()) == {1}
        assert job.persons_now() == job.persons
