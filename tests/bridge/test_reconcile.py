"""What CVAT could not deliver is caught up on, once, from its own list of deliveries."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from bridge.reconcile.reconciler import was_missed
from tests.bridge.reef import found_by_seed, held, labels, pngs
from tests.support.bridge import BridgeProcess
from tests.support.cvat import Cvat, wait_for
from tests.support.predictor import Predictor

QUERY = "model_name=numpy-reef"


@pytest.fixture
def port() -> int:
    """A port that stays the same while the bridge is down."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def start(folder: Path, cvat: Cvat, predictor: Predictor, port: int, **env: str) -> BridgeProcess:
    settings = {
        "KELP_PORT": str(port),
        "KELP_PUBLIC_URL": f"http://{cvat.bridge_host}:{port}",
        "KELP_RECONCILE_SECONDS": "1",
        **env,
    }
    return BridgeProcess(folder, cvat=cvat.server, v2_url=predictor.url, env=settings)


def statuses(cvat: Cvat, webhook: int) -> list[int | None]:
    return [delivery["status_code"] for delivery in cvat.deliveries(webhook)]


def test_what_was_missed_while_the_bridge_was_down_is_done_when_it_is_up(
    cvat: Cvat, folder: Path, predictor: Predictor, port: int
) -> None:
    project = cvat.project(labels())
    address = f"http://{cvat.bridge_host}:{port}/detect-model-webhook?{QUERY}"
    webhook = cvat.webhook(project, address)
    task = cvat.task(project, pngs(3), segment_size=1)
    cvat.start(task.jobs[0])  # before the bridge was ever there: nobody's business
    wait_for(lambda: statuses(cvat, webhook) and None not in statuses(cvat, webhook)[:1])
    with start(folder, cvat, predictor, port) as bridge:
        bridge.wait_log("deliveries_checked")
    before = len(cvat.deliveries(webhook))
    cvat.start(task.jobs[1])
    wait_for(lambda: len(cvat.deliveries(webhook)) > before and statuses(cvat, webhook)[0] == 502)
    with start(folder, cvat, predictor, port) as bridge:
        run = bridge.wait_run(job=task.jobs[1])
        assert (run["state"], run["cause"]) == ("completed", "started")
        # While it is up, deliveries come as they should, and the list adds nothing.
        cvat.start(task.jobs[2])
        assert bridge.wait_run(job=task.jobs[2])["state"] == "completed"
        caught = bridge.wait_log("delivery_caught_up")
        assert caught["run"] == run["id"]
        wait_for(lambda: bridge.metrics().count("GET") == 0)  # the process still answers
        assert len(bridge.runs()) == 2
        assert bridge.runs(job=task.jobs[0]) == []
    for number in (1, 2):
        assert held(cvat, project, task.jobs[number]) == found_by_seed([number])
    # A third process finds everything done.
    with start(folder, cvat, predictor, port) as bridge:
        bridge.wait_log("deliveries_checked")
        assert len(bridge.runs()) == 2


def test_deliveries_refused_for_a_wrong_secret_are_made_good(
    cvat: Cvat, folder: Path, predictor: Predictor, port: int
) -> None:
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(1)).jobs
    with start(folder, cvat, predictor, port, KELP_RECONCILE_SECONDS="3600") as bridge:
        bridge.wait_log("deliveries_checked")
        webhook = cvat.webhook(project, bridge.webhook_url(QUERY), secret="a typing error")
        other = cvat.webhook(project, bridge.webhook_url("model_name=nobody"))
        cvat.start(job)
        wait_for(lambda: 401 in statuses(cvat, webhook))
        wait_for(lambda: 404 in statuses(cvat, other))
        refusal = next(d for d in cvat.deliveries(other) if d["status_code"] == 404)
        assert "numpy-reef" in json.loads(refusal["response"])["error"]  # CVAT shows it in its list
        assert bridge.runs() == []
    with start(folder, cvat, predictor, port) as bridge:
        assert bridge.wait_run(job=job)["state"] == "completed"
        assert [run["model"] for run in bridge.runs()] == ["numpy-reef"]


def test_who_may_not_list_deliveries_is_told_so_in_readiness(cvat: Cvat, folder: Path, predictor: Predictor) -> None:
    with BridgeProcess(folder, cvat=cvat.server, v2_url=predictor.url) as bridge:
        bridge.wait_log("ready")
        wait_for(lambda: any("KELP_PUBLIC_URL" in note for note in bridge.get("/health/ready")["notes"]))
    env = {"KELP_PUBLIC_URL": "http://127.0.0.1:1", "KELP_CVAT_PASSWORD": "wrong"}
    with BridgeProcess(folder, cvat=cvat.server, v2_url=predictor.url, env=env) as bridge:
        ready = wait_for(lambda: (r := bridge.get("/health/ready"))["missing"] and r["notes"] and r)
        assert "user and password" in ready["missing"][0]
        assert "not caught up" in ready["notes"][0]


@pytest.mark.parametrize(
    ("status", "missed"),
    [(None, True), (500, True), (502, True), (504, True), (401, True), (200, False), (202, False), (400, False),
     (404, False), (413, False), (302, False)],
)  # fmt: skip
def test_which_answers_leave_something_to_do(status: int | None, missed: bool) -> None:
    assert was_missed(status) is missed
