"""`kelp up` under a budget, guarded by a token, and at its end, in good order or not."""

from __future__ import annotations

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from tests.local.conftest import eventually, write_card


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def test_the_least_recently_used_idle_one_makes_room(models, start_up):
    for name in ("one", "two", "three"):
        write_card(models, name)
    write_card(models, "huge", resources={"requests": {"memory": "9Gi"}, "limits": {}})
    up = start_up(KELP_BUDGET="2Gi")
    for name in ("one", "two", "one"):
        assert up.infer(name).status_code == 200
    assert up.infer("three").status_code == 200
    assert {name: up.state(name) for name in ("one", "two", "three")} == {
        "one": "ready",
        "two": "asleep",
        "three": "ready",
    }
    assert len(up.children()) == 2
    never = up.infer("huge")
    assert never.status_code == 503
    assert "needs 9Gi of memory, and the budget is 2Gi" in never.json()["error"]


def test_a_busy_one_is_waited_for_not_ended(models, start_up):
    write_card(models, "busy")
    write_card(models, "other")
    up = start_up(KELP_BUDGET="1Gi")
    up.infer("busy")
    with ThreadPoolExecutor(2) as callers:
        long = callers.submit(up.infer, "busy", x_delay="2")
        with pytest.raises(httpx.ReadTimeout):  # a caller that leaves ends a start that had no room
            httpx.post(f"{up.url}/v2/models/other/infer", content=b"{}", timeout=0.5, trust_env=False)
        up.wait_for("model_start_given_up", model="other")
        assert up.state("other") == "asleep"
        other = callers.submit(up.infer, "other")
        eventually(lambda: up.state("other") == "starting")
        assert "busy" in up.card("other")["reason"]
        assert long.result().status_code == 200
        assert other.result().status_code == 200
    assert up.state("busy") == "asleep"


def test_models_that_are_always_awake_must_fit_together(models, start_up):
    for name in ("one", "two"):
        write_card(models, name, scale={"min": 1})
    with pytest.raises(AssertionError, match=r"'one', 'two', kept awake by scale\.min, need 2Gi"):
        start_up(KELP_BUDGET="1Gi")


def test_a_model_larger_than_the_whole_budget_says_so_by_code_and_text(models, start_up):
    write_card(models, "whale", resources={"requests": {"memory": "3Gi"}, "limits": {}})
    up = start_up(KELP_BUDGET="2Gi")
    for _ in range(2):  # the first asks for room, the second meets the model failing
        answer = up.infer("whale")
        assert (answer.status_code, answer.json()["code"]) == (503, "over_budget")
        assert "needs 3Gi of memory, and the budget is 2Gi (KELP_BUDGET)" in answer.json()["error"]
    assert up.state("whale") == "failing"


def test_beyond_loopback_a_token_is_asked_for(models, start_up):
    write_card(models, "reef")
    up = start_up(KELP_V2_HOST="0.0.0.0", KELP_API_TOKEN="open-sesame")
    assert up.http.get("/v2/health/live").status_code == 200
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "open-sesame"}):
        answer = up.http.get("/v2/models", headers=wrong)
        assert answer.status_code == 401
        assert "open-sesame" not in answer.text
    assert up.infer("reef").status_code == 401
    assert up.infer("reef", authorization="Bearer open-sesame").status_code == 200


def test_beyond_loopback_without_a_token_it_does_not_start(models, start_up):
    write_card(models, "reef")
    with pytest.raises(AssertionError, match="KELP_API_TOKEN is needed"):
        start_up(KELP_V2_HOST="0.0.0.0")


@pytest.mark.parametrize("setting", ["KELP_V2_PORT", "KELP_V2_GRPC_PORT"])
def test_a_taken_port_is_named_with_its_holder(models, start_up, setting):
    write_card(models, "reef")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AssertionError, match=rf"port {port} is taken by process {os.getpid()}.*{setting}"):
            start_up(**{setting: str(port)})


def test_a_process_that_hangs_is_replaced_and_its_caller_told_but_a_long_prediction_is_waited_for(models, start_up):
    write_card(models, "reef")
    up = start_up(STAND_IN_HEALTH_S="0.8")
    with ThreadPoolExecutor(1) as people:
        long = people.submit(up.infer, "reef", x_delay="6")  # longer than three questions and their pauses
        up.wait_for("delaying")
        pid = up.wait_for("model_ready", model="reef")["pid"]
        assert long.result().json()["pid"] == pid
        stuck = people.submit(up.infer, "reef", x_delay="600")
        up.wait_for("delaying", count=2)
        os.kill(pid, signal.SIGSTOP)
        told = stuck.result()
    assert told.status_code == 503
    assert "did not answer" in told.json()["error"]
    assert "out of memory" not in told.json()["error"]
    assert "did not answer" in up.wait_for("model_failed", model="reef")["error"]
    assert up.wait_for("model_ready", count=2, model="reef")["pid"] != pid  # by itself
    assert up.infer("reef").status_code == 200


def test_a_process_that_says_that_its_model_hangs_is_replaced(models, start_up):
    write_card(models, "reef")
    up = start_up(STAND_IN_HEALTH_S="0.5")
    with ThreadPoolExecutor(1) as people:
        stuck = people.submit(up.infer, "reef", x_stick="1", x_delay="600")
        assert "the model has not come back" in up.wait_for("model_failed", model="reef")["error"]
        assert "the model has not come back" in stuck.result().json()["error"]
    up.wait_for("model_ready", count=2, model="reef")


def test_sigterm_finishes_what_is_under_way_and_leaves_nothing(models, start_up):
    write_card(models, "reef")
    write_card(models, "kept", scale={"min": 1})
    up = start_up()
    up.infer("reef")
    children = up.children()
    with ThreadPoolExecutor(1) as callers:
        long = callers.submit(up.infer, "reef", x_delay="1")
        up.wait_for("delaying")
        assert up.stop() == 0
        assert long.result().status_code == 200
    assert not [child for child in children if child.is_running() and child.status() != "zombie"]
    assert list((models.parent / "cache" / "run").glob("*.json")) == []


def test_after_a_kill_models_end_and_what_could_not_is_ended_by_the_next(models, start_up):
    write_card(models, "reef")
    write_card(models, "stuck")
    up = start_up()
    reef, stuck = (psutil.Process(up.infer(name).json()["pid"]) for name in ("reef", "stuck"))
    stuck.suspend()  # it cannot notice that its lifeline is cut
    up.process.send_signal(signal.SIGKILL)
    up.process.wait(10)
    _, alive = psutil.wait_procs([reef], timeout=15)
    assert not alive
    assert stuck.is_running()
    following = start_up()
    assert following.wait_for("left_over_ended")["pid"] == stuck.pid
    assert not stuck.is_running() or stuck.status() == "zombie"
    assert following.infer("stuck").status_code == 200
