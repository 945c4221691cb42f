"""The bridge ends in the middle of its work: nothing is lost, nothing is there twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import cards
from tests.cluster.support.annotating import Job, job
from tests.cluster.support.cluster import Cluster, wait_for
from tests.cluster.support.platform import BRIDGE, Platform
from tests.cluster.support.results import Results
from tests.support.cvat import Cvat

MODEL = "reef"
FRAMES, DISTINCT = 160, 4
KILL = """
import os, signal
for entry in filter(str.isdigit, os.listdir("/proc")):
    try:
        command = open(f"/proc/{entry}/cmdline", "rb").read().split(b"\\0")
    except OSError:
        continue
    if command[-3:-1] == [b"-m", b"bridge"]:
        os.kill(int(entry), signal.SIGKILL)
        print("killed", entry)
"""


@pytest.fixture(scope="module")
def working(platform: Platform, folder: Path, cluster: Cluster) -> Platform:
    platform.install(folder)
    # Its processes then see each other: one of them can kill the bridge, which as process 1 of its own could not be.
    share = {"spec": {"template": {"spec": {"shareProcessNamespace": True}}}}
    cluster.patch("statefulset", "bridge", platform.ns, share)
    cluster.kubectl("rollout", "status", "statefulset/bridge", "--timeout=120s", ns=platform.ns, timeout_s=150)
    awake = {"retention": 60, "concurrency": 8}
    platform.deploy(str(cards.write(folder / "cards", cards.card(MODEL, scale=awake))))
    return platform


@pytest.fixture(scope="module")
def expected(working: Platform, cvat: Cvat) -> Counter[Any]:
    """What a run that nobody disturbs finds in a job of `FRAMES` frames: its pictures repeat every `DISTINCT`."""
    with job(cvat, working, MODEL, frames=DISTINCT, distinct=DISTINCT) as one:
        one.start()
        assert working.wait_run(one.id)["state"] == "completed"
        found = one.found()
    return repeated(found)


def repeated(found: Counter[Any]) -> Counter[Any]:
    """The shapes of `DISTINCT` frames as those of a job of `FRAMES` frames."""
    whole: Counter[Any] = Counter()
    for (frame, *rest), count in found.items():
        for copy in range(frame, FRAMES, DISTINCT):
            whole[copy, *rest] += count
    return whole


def wait_midway(platform: Platform, one: Job, pod: str = "bridge-0") -> int:
    """Until a tenth of the frames is done; how many are."""

    def read() -> int | None:
        runs = api.get("/api/v1/runs", params={"job": one.id}).raise_for_status().json()["runs"]
        done = int(runs[0]["frames"]["done"]) if runs else 0
        return done if done >= FRAMES // 10 else None

    with platform.api(pod) as api:
        return wait_for(read, "the run is under way", 120, 0.05)


def test_killed_by_sigkill(working: Platform, cvat: Cvat, expected: Counter[Any], results: Results) -> None:
    """SIGKILL to the bridge in mid-run: its container starts again, and each shape is in CVAT exactly once."""
    with job(cvat, working, MODEL, frames=FRAMES, distinct=DISTINCT) as one:
        one.start()
        done = wait_midway(working, one)
        assert "killed" in working.cluster.exec("bridge-0", working.ns, "python", "-c", KILL)
        run = working.wait_run(one.id)
        assert done < FRAMES
        assert run["state"] == "completed", run
        assert one.found() == expected
        (bridge,) = working.cluster.pods(working.ns, BRIDGE)
        assert bridge["status"]["containerStatuses"][0]["restartCount"] == 1
    results.figure("bridge killed by SIGKILL: frames done by then", done, "frames", of=FRAMES)


def test_pod_lost(working: Platform, cvat: Cvat, expected: Counter[Any], results: Results) -> None:
    """The bridge's pod is taken away in mid-run without a grace period: the next one of its name goes on."""
    with job(cvat, working, MODEL, frames=FRAMES, distinct=DISTINCT) as one:
        one.start()
        done = wait_midway(working, one)
        working.cluster.delete("pod", "bridge-0", working.ns, now=True)
        run = working.wait_run(one.id)
        assert run["state"] == "completed", run
        assert one.found() == expected
    results.figure("bridge's pod lost: frames done by then", done, "frames", of=FRAMES)
