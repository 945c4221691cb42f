"""Runs that cannot go on end by themselves with a reason, those that somebody stops stop, and a retry goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chaos.conftest import Expect
from tests.support.cvat import wait_for
from tests.support.loop import FRAMES, IMAGES_A_REQUEST, Found, Loop

INFER = r"/infer$"


def slow(*values: object) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("at", "nth"), [("run_claimed", 1), slow("job_read", 1), slow("frames_stored", 2), ("chunk_open", 2)]
)
def test_a_job_that_was_deleted_while_the_bridge_was_down_ends_its_run(loop: Loop, at: str, nth: int) -> None:
    with loop.job() as job:
        loop.hold(at, nth)
        job.start()
        loop.wait_held()
        loop.kill()
        job.cvat.call("DELETE", f"/api/tasks/{job.task.id}")
        loop.start()
        run = loop.wait_run(job, "failed")
        assert "is not in CVAT" in run["reason"]
        assert f"job {job.id}" in run["reason"]
        loop.check_calm()


def test_a_job_that_is_deleted_while_its_run_works_on_it_ends_the_run(loop: Loop) -> None:
    with loop.job() as job:
        loop.hold("chunk_closed")
        job.start()
        loop.wait_held()
        job.cvat.call("DELETE", f"/api/tasks/{job.task.id}")
        loop.release()
        run = loop.wait_run(job, "failed")
        assert "is not in CVAT" in run["reason"]
        assert f"job {job.id}" in run["reason"]
        loop.check_calm()


def test_a_cancelled_run_stops_after_the_chunk_in_hand_and_a_retry_writes_the_rest(loop: Loop, expect: Expect) -> None:
    with loop.job(query="delay_s=0.5") as job:
        job.start()
        run_id = wait_for(lambda: loop.bridge.runs(job=job.id))[0]["id"]
        loop.bridge.wait_log("boundary", at="chunk_closed", run=run_id)
        assert loop.bridge.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
        run = loop.wait_run(job, "cancelled")
        written = job.found()
        frames = {frame for frame, *_ in written}
        assert 0 < len(frames) < FRAMES
        assert written == Found({shape: count for shape, count in expect().items() if shape[0] in frames})
        assert sum(written.values()) == run["shapes"]["written"]
        assert loop.bridge.post(f"/api/v1/runs/{run_id}/retry").status_code == 202
        assert loop.wait_run(job)["attempt"] == 2
        loop.check(job, expect())
        loop.check_ownership(job, expect())


def test_a_run_that_was_stopped_before_the_bridge_died_stays_stopped(loop: Loop) -> None:
    with loop.job(query="delay_s=0.5") as job:
        job.start()
        run_id = wait_for(lambda: loop.bridge.runs(job=job.id))[0]["id"]
        loop.bridge.wait_log("boundary", at="chunk_closed", run=run_id)
        loop.hold("step_done", step="annotate")
        with ThreadPoolExecutor(1) as asking:  # it may be held before it can answer
            asking.submit(loop.bridge.post, f"/api/v1/runs/{run_id}/cancel")
            loop.wait_held()
            loop.kill()
        written = job.found()
        loop.start()
        loop.wait_run(job, "cancelled")
        assert job.found() == written


@pytest.mark.parametrize(
    ("at", "nth", "stored"),
    [("frames_stored", 2, 4), slow("frames_stored", 1, 2), slow("chunk_open", 3, 6), slow("job_read", 1, 0)],
)
def test_after_a_kill_the_model_is_asked_only_for_frames_that_were_not_answered(
    loop: Loop, expect: Expect, at: str, nth: int, stored: int
) -> None:
    with loop.job() as job:
        loop.hold(at, nth)
        job.start()
        loop.wait_held()
        loop.kill()
        asked = loop.before_model.count("POST", INFER)
        loop.start()
        loop.wait_run(job)
        assert loop.before_model.count("POST", INFER) - asked == (FRAMES - stored) / IMAGES_A_REQUEST
        loop.check(job, expect())


def test_a_bridge_that_is_told_to_stop_leaves_its_run_to_the_next_one(loop: Loop, expect: Expect) -> None:
    expected = expect()
    with loop.job(query="delay_s=0.5") as job:
        job.start()
        run_id = wait_for(lambda: loop.bridge.runs(job=job.id))[0]["id"]
        loop.bridge.wait_log("boundary", at="chunk_closed", run=run_id)
        assert loop.bridge.terminate() == 0
        assert 0 < sum(job.found().values()) < sum(expected.values())
        loop.start()
        loop.wait_run(job)
        loop.check(job, expected)
        loop.check_ownership(job, expected)
