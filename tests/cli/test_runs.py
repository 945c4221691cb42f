"""`kelp annotate` and `kelp runs` against a real bridge, and the bridge's place beside `kelp up`."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.cli.conftest import run_process
from tests.support.cvat import picture

LABELS = tuple({"name": name, "type": "polygon"} for name in ("red", "green", "blue"))


@pytest.fixture
def task(cvat):
    """Two jobs of two frames each; every frame has a bright patch, so that something is found."""
    images = [picture(64, 48, (230, 40 + 50 * i, 60)) for i in range(4)]
    return cvat.task(cvat.project(LABELS), images, segment_size=2)


def test_a_job_is_annotated_and_followed_to_its_end(kelp, cvat, task):
    job = task.jobs[0]
    done = kelp("annotate", "--model", "reef", "--job", job, "--follow")
    assert done.returncode == 0, done.stderr
    (run,) = done.stdout.split()
    assert f"run {run} completed: 2 frames" in done.stderr
    shapes = cvat.shapes(job)
    assert len(shapes) > 0
    assert np.isfinite(shapes[0]["points"]).all()
    listed = kelp("runs", "--help")
    assert listed.returncode == 0
    table = kelp("runs", "list", "--job", job).stdout.splitlines()
    assert table[0].split()[:5] == ["RUN", "STATE", "KIND", "MODEL", "JOB"]
    assert table[1].split()[:7] == [run, "completed", "detect", "reef", str(job), "2/2", str(len(shapes))]
    (view,) = json.loads(kelp("runs", "list", "--job", job, "-o", "json").stdout)
    assert view["shapes"]["written"] == len(shapes)
    assert run in kelp("runs").stdout
    # A second run finds the same, and writes none of it again.
    again = kelp("annotate", "--model", "reef", "--job", job, "--again", "--follow")
    assert f"0 shapes written (+{len(shapes)} kept)" in again.stderr
    assert f"0 (+{len(shapes)} kept)" in kelp("runs", "list", "--job", job).stdout


def test_a_task_is_annotated_job_by_job(kelp, cvat, task):
    done = kelp(
        "annotate", "--model", "reef", "--task", task.id, "--set", "conf_threshold=0.3", "--follow", "-o", "json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["runs"]) == 2
    assert {run["state"] for run in told["ended"]} == {"completed"}
    assert all(cvat.shapes(job) for job in task.jobs)


def test_a_run_that_fails_is_an_exit_code_and_can_be_retried(kelp, cvat):
    project = cvat.project([{"name": "Acropora", "type": "polygon"}])  # none of the model's labels
    (job,) = cvat.task(project, [picture()]).jobs
    done = kelp("annotate", "--model", "reef", "--job", job, "--follow")
    assert done.returncode == 1
    (run,) = done.stdout.split()
    assert f"run {run} failed" in done.stderr
    assert kelp("runs", "follow", run).returncode == 1
    again = kelp("runs", "retry", run, "--follow")
    assert again.returncode == 1
    assert f"run {run} failed" in again.stderr
    again = kelp("annotate", "--model", "reef", "--job", job, "--follow")
    assert f"run {run} had failed: it is taken up again" in again.stderr
    assert [listed["attempt"] for listed in json.loads(kelp("runs", "list", "--job", job, "-o", "json").stdout)] == [3]


def test_a_run_of_a_model_that_cannot_start_fails_with_its_reason_long_before_its_patience_is_out(kelp, task):
    done = kelp("annotate", "--model", "broken", "--job", task.jobs[0], "--follow")
    assert done.returncode == 1
    assert "no-such-file.pt: no such file" in done.stderr
    # Who comes now need not wait for a whole round of tries again.
    (run,) = kelp("annotate", "--model", "broken", "--job", task.jobs[1]).stdout.split()
    assert kelp("runs", "follow", run).returncode == 1


def test_what_cannot_be_done_to_a_run_is_said(kelp):
    for command in ("follow", "retry", "cancel"):
        done = kelp("runs", command, "0" * 32)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
    assert kelp("annotate", "--model", "nothing", "--job", 1).returncode == 1


def test_a_run_is_followed_over_the_death_of_the_bridge(kelp, platform, cvat, task):
    (bridge,) = [child for child in platform.children() if "bridge" in child.cmdline()]
    starts = len([e for e in list(platform.events) if e.get("event") == "bridge_started"])
    (run,) = kelp("annotate", "--model", "slow", "--job", task.jobs[0]).stdout.split()
    with ThreadPoolExecutor(1) as people:
        environment = {"KELP_BRIDGE_URL": platform.bridge_url}
        follows = people.submit(run_process, "runs", "follow", run, **environment)
        platform.wait_for("model_ready", model="slow")
        bridge.kill()
        platform.wait_for("bridge_started", count=starts + 1)  # by kelp up
        done = follows.result()
    assert done.returncode == 0, done.stderr
    assert "completed: 2 frames" in done.stderr
    assert len(cvat.shapes(task.jobs[0])) > 0
