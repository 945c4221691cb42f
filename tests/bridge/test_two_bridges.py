"""Several bridges on one PostgreSQL: what one leaves behind, another finishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridge.reef import found_by_seed, held, labels, pngs
from tests.support.bridge import BridgeProcess
from tests.support.cvat import Cvat, wait_for
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


def test_a_bridge_that_is_killed_for_good_has_its_runs_finished_by_another(
    cvat: Cvat, v2: FaultProxy, postgres: Postgres, tmp_path: Path
) -> None:
    database = postgres.database()
    project = cvat.project(labels())
    jobs = cvat.task(project, pngs(6), segment_size=2).jobs
    with start(tmp_path, cvat, v2, database, "one") as one:
        hang = v2.hang(times=len(jobs), method="POST", path="/infer")
        asked = one.post("/api/v1/runs", {"task": cvat.job(jobs[0])["task_id"], "model": "numpy-reef"}).json()["runs"]
        hang.wait()
        with start(tmp_path, cvat, v2, database, "two") as two:
            executor_of(two)
            v2.clear()
            one.kill()
            runs = [two.wait_run(run_id) for run_id in asked]
            assert [run["state"] for run in runs] == ["completed"] * len(jobs)
            two.wait_log("adopted", executor="one")
    for number, job in enumerate(jobs):
        assert held(cvat, project, job) == found_by_seed([2 * number, 2 * number + 1])


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


def test_a_restarted_database_interrupts_nothing(
    cvat: Cvat, v2: FaultProxy, postgres: Postgres, tmp_path: Path
) -> None:
    database = postgres.database()
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(8)).jobs
    with start(tmp_path, cvat, v2, database, "one") as bridge:
        executor_of(bridge)
        slow = v2.delay(2.0, times=1, method="POST", path="/infer")
        run_id = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"][0]
        slow.wait()
        postgres.restart("immediate", pause_s=0.5)
        assert bridge.wait_run(run_id)["state"] == "completed"
        assert held(cvat, project, job) == found_by_seed(8)
        # And webhooks are taken again.
        cvat.webhook(project, bridge.webhook_url("model_name=numpy-reef"))
        cvat.start(job)
        wait_for(lambda: len(bridge.runs(job=job)) == 2)
        assert bridge.wait_run(job=job)["state"] == "completed"


def test_runs_of_an_older_workflow_go_on_from_their_stored_shapes(
    cvat: Cvat, v2: FaultProxy, postgres: Postgres, tmp_path: Path
) -> None:
    import psycopg

    database = postgres.database()
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(12)).jobs
    with start(tmp_path, cvat, v2, database, "one") as old:
        hang = v2.hang(times=1, method="POST", path="/infer", skip=2)
        run_id = old.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"][0]
        hang.wait()
        wait_for(lambda: old.get(f"/api/v1/runs/{run_id}")["frames"]["done"] >= 4)
        old.kill()
    v2.clear()
    inferred = v2.count("POST", "/infer")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE runs SET workflow_version = 'detect-0'")
    with start(tmp_path, cvat, v2, database, "one") as new:
        run = new.wait_run(run_id)
        assert run["state"] == "completed"
        assert new.wait_log("outdated_runs_requeued")["runs"] == 1
    # What was answered before was not asked again: 12 frames are 3 requests, of which some were stored.
    assert v2.count("POST", "/infer") - inferred <= 2
    assert held(cvat, project, job) == found_by_seed(12)
