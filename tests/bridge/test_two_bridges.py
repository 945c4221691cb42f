"""Several bridges on one PostgreSQL: what one leaves behind, another finishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridge.reef import found_by_seed, held, labels, pngs
from tests.support.bridge import BridgeProcess
from tests.support.cvat import Cvat
from tests.support.fault_proxy import FaultProxy
from tests.support.postgres import Postgres
from tests.support.predictor import Predictor

SILENT_S = "3"


@pytest.fixture
def v2(predictor: Predictor) -> Iterator[FaultProxy]:
    with FaultProxy(predictor.url) as proxy:
        yield proxy


def start(folder: Path, cvat: Cvat, v2: FaultProxy, database: str, name: str) -> BridgeProcess:
    env = {"KELP_DATABASE_URL": database, "KELP_ADOPT_SECONDS": SILENT_S, "DBOS__VMID": name}
    return BridgeProcess(folder / name, cvat=cvat.server, v2_url=v2.url, env=env)


def executor_of(bridge: BridgeProcess) -> str:
    return str(bridge.wait_log("ready")["executor"])


def test_a_bridge_that_stops_in_good_order_is_not_waited_for(
    cvat: Cvat, v2: FaultProxy, postgres: Postgres, tmp_path: Path
) -> None:
    database = postgres.database()
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(2)).jobs
    with start(tmp_path, cvat, v2, database, "one") as one, start(tmp_path, cvat, v2, database, "two") as two:
        executor_of(one)
        executor_of(two)
        hang = v2.hang(times=1, method="POST", path="/infer")
        run_id = one.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"][0]
        hang.wait()
        # Whoever took it: it is the one that has it live.
        first, second = (one, two) if _has(one, run_id) else (two, one)
        assert first.terminate() == 0
        assert second.wait_run(run_id)["state"] == "completed"
    assert held(cvat, project, job) == found_by_seed(2)


def _has(bridge: BridgeProcess, run_id: str) -> bool:
    return any(line["event"] == "boundary" and line.get("run") == run_id for line in bridge.log())


def test_two_bridges_of_one_name_do_not_do_everything_twice(
    cvat: Cvat, v2: FaultProxy, postgres: Postgres, tmp_path: Path
) -> None:
    database = postgres.database()
    with start(tmp_path, cvat, v2, database, "one") as first:
        assert executor_of(first) == "one"
        with start(tmp_path / "other", cvat, v2, database, "one") as second:
            assert executor_of(second) == "one-2"
            project = cvat.project(labels())
            jobs = cvat.task(project, pngs(6), segment_size=1).jobs
            asked = first.post("/api/v1/runs", {"project": project, "model": "numpy-reef"}).json()["runs"]
            for run_id in asked:
                assert second.wait_run(run_id)["state"] == "completed"
            for number, job in enumerate(jobs):
                assert held(cvat, project, job) == found_by_seed([number])
    # Once it is gone, the name is free again at once.
    with start(tmp_path, cvat, v2, database, "one") as third:
        assert executor_of(third) == "one"
