"""Webhooks that do not arrive, arrive twice or cannot be trusted yet: each started job gets one run all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.conftest import Expect
from tests.support.cvat import SECRET, CvatServer, real_server, stand_in_process, wait_for
from tests.support.fault_proxy import FaultProxy
from tests.support.loop import MODEL, Loop
from tests.support.predictor import Predictor

PATH = f"/detect-model-webhook?model_name={MODEL}"
NEW_SECRET = "another-secret-for-tests"


@pytest.fixture
def entrance(loop: Loop) -> Iterator[FaultProxy]:
    """A proxy on the way from CVAT to the bridge, which knows itself by the proxy's address."""
    if loop.server.bridge_host != "127.0.0.1":
        pytest.skip("CVAT is on another machine, and the proxy listens on this one only")
    with FaultProxy(f"http://127.0.0.1:{loop.port}") as proxy:
        loop.kill()
        loop.start(env={"KELP_PUBLIC_URL": proxy.url})
        yield proxy
        loop.kill()


def test_what_came_while_a_new_bridge_was_down_is_caught_up_on_at_its_start(
    tmp_path: Path, cvat_server: CvatServer, predictor: Predictor, expect: Expect
) -> None:
    """One that ran for a moment only, before there was any webhook: that is when it began to be responsible."""
    with Loop(tmp_path, cvat_server, predictor.url, env={"KELP_RECONCILE_SECONDS": "300"}) as loop:
        loop.start()
        loop.kill()
        with loop.job() as job:
            job.start()
            assert job.told()[0] >= 500
            loop.start()
            loop.wait_run(job)
            loop.check(job, expect())
            loop.bridge.wait_log("delivery_caught_up", webhook=job.webhook)


@pytest.mark.parametrize("status", [500, pytest.param(503, marks=pytest.mark.slow)])
def test_what_a_gateway_kept_back_is_caught_up_on_in_the_next_round(
    loop: Loop, entrance: FaultProxy, expect: Expect, status: int
) -> None:
    with loop.job(webhook=False) as job:
        job.webhook = job.cvat.webhook(job.task.project, f"{entrance.url}{PATH}", ["update:job"])
        fault = entrance.answer(status, method="POST", path="detect-model-webhook")
        job.start()
        fault.wait()
        loop.wait_run(job)
        loop.check(job, expect())
        assert job.told() == [status]


def test_a_redelivery_does_not_run_twice(loop: Loop, expect: Expect) -> None:
    with loop.job() as job:
        job.start()
        run = loop.wait_run(job)
        assert job.told() == [202]
        first = next(row for row in job.cvat.deliveries(job.webhook) if row["status_code"] == 202)
        job.cvat.call("POST", f"/api/webhooks/{job.webhook}/deliveries/{first['id']}/redelivery")
        assert job.told(2) == [200, 202]
        assert loop.wait_run(job)["id"] == run["id"]
        loop.check(job, expect())


def test_a_job_that_is_set_back_and_started_again_runs_again(loop: Loop, expect: Expect) -> None:
    with loop.job() as job:
        job.start()
        loop.wait_run(job)
        job.cvat.set_job(job.id, state="new")
        job.start()
        loop.wait_run(job, count=2)
        loop.check(job, expect())


@pytest.fixture
def newer(tmp_path: Path, predictor: Predictor) -> Iterator[Loop]:
    """A loop round a CVAT that sends failed deliveries again."""
    if real_server():
        pytest.skip("the real CVAT decides itself whether it sends deliveries again")
    with (
        stand_in_process("--newer", "--retries", "0.3,0.5,1,2,4,8,16") as server,
        Loop(tmp_path, server, predictor.url) as loop,
    ):
        loop.start()
        yield loop


def test_a_newer_cvat_that_tries_again_gets_one_run(newer: Loop, expect: Expect) -> None:
    """The bridge wrote the run down, but its answer was lost on the way: twice."""
    with FaultProxy(f"http://127.0.0.1:{newer.port}") as proxy, newer.job(webhook=False) as job:
        newer.kill()
        newer.start(env={"KELP_PUBLIC_URL": proxy.url})
        job.webhook = job.cvat.webhook(job.task.project, f"{proxy.url}{PATH}", ["update:job"])
        fault = proxy.cut_answer(times=2, method="POST", path="detect-model-webhook")
        job.start()
        assert job.told(3) == [200, 502, 502]
        assert fault.hits == 2
        newer.wait_run(job)
        newer.check(job, expect())
        newer.check_ownership(job, expect())


def test_a_newer_cvat_finds_the_bridge_again_after_a_kill(newer: Loop, expect: Expect) -> None:
    with newer.job() as job:
        newer.hold("run_accepted")
        job.start()
        newer.wait_held()
        newer.kill()
        newer.start()
        newer.wait_run(job)
        wait_for(lambda: job.told()[0] == 200)
        newer.wait_run(job)
        newer.check(job, expect())


def test_a_secret_is_rotated_without_losing_anything(loop: Loop, expect: Expect) -> None:
    def restart_with(*secrets: str) -> None:
        loop.kill()
        loop.start(env={"KELP_WEBHOOK_SECRETS": ",".join(secrets)})

    with loop.job() as job:
        restart_with(SECRET, NEW_SECRET)
        job.start()
        loop.wait_run(job)
        job.cvat.call("PATCH", f"/api/webhooks/{job.webhook}", json={"secret": NEW_SECRET})
        job.cvat.set_job(job.id, state="new")
        job.start()
        loop.wait_run(job, count=2)
        restart_with(NEW_SECRET)
        job.cvat.set_job(job.id, state="new")
        job.start()
        loop.wait_run(job, count=3)
        assert {202} == {status for status in job.told() if status != 200}
        loop.check(job, expect())
    loop.kill()


def test_what_was_signed_with_a_secret_that_the_bridge_does_not_know_is_caught_up_on(
    loop: Loop, expect: Expect
) -> None:
    """It was refused with a 401, and CVAT's own list says what it was."""
    with loop.job() as job:
        job.cvat.call("PATCH", f"/api/webhooks/{job.webhook}", json={"secret": NEW_SECRET})
        job.start()
        assert job.told() == [401]
        loop.wait_run(job)
        loop.check(job, expect())


def test_a_setting_of_the_models_own_is_taken_while_no_model_can_be_asked(loop: Loop, expect: Expect) -> None:
    """A refusal would be final: CVAT sends nothing again that was answered with a 4xx."""
    loop.kill()
    loop.before_model.answer(503, times=10**6)
    loop.start()
    with loop.job(query="delay_s=0.01") as job:
        job.start()
        assert job.told() == [202]
        loop.before_model.clear()
        assert loop.wait_run(job)["parameters"]["settings"] == {"delay_s": 0.01}
        loop.check(job, expect())
