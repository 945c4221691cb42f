"""Two bridges on one PostgreSQL: one of them goes for good in the middle of its work."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import cards
from tests.cluster.support.annotating import Job, job
from tests.cluster.support.cluster import Cluster, ready, wait_for
from tests.cluster.support.platform import BRIDGE, Platform
from tests.cluster.support.results import Results
from tests.cluster.support.toolbox import POSTGRES_PASSWORD
from tests.support.cvat import Cvat

MODEL = "reef"
JOBS, FRAMES, DISTINCT = 4, 60, 4
ADOPT_S = 5
VOLUMES = 1  # of the weights: the bridges' data is in PostgreSQL


@pytest.fixture(scope="module")
def two(platform: Platform, beside: str, folder: Path) -> Platform:
    url = f"postgresql://kelp:{POSTGRES_PASSWORD}@postgres.{beside}:5432/kelp"
    platform.secrets(database={"url": url})
    platform.install(
        folder,
        bridge={
            "replicas": 2,
            "database": {"existingSecret": "database"},
            # 30 s by default; so long a bridge may be silent before another one takes over its runs.
            "extraEnv": [{"name": "KELP_ADOPT_SECONDS", "value": str(ADOPT_S)}],
        },
    )
    awake = {"retention": 60, "concurrency": 8}
    platform.deploy(str(cards.write(folder / "cards", cards.card(MODEL, scale=awake))))
    return platform


@pytest.fixture
def jobs(two: Platform, cvat: Cvat) -> Iterator[list[Job]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(job(cvat, two, MODEL, frames=FRAMES, distinct=DISTINCT, query="conf_threshold=0.3"))
            for _ in range(JOBS)
        ]


def test_both_are_ready_and_keep_no_volume(two: Platform, cluster: Cluster) -> None:
    """Two replicas on PostgreSQL are ready, and neither has a claim of its own."""
    bridges = cluster.pods(two.ns, BRIDGE)
    assert [pod["metadata"]["name"] for pod in bridges] == ["bridge-0", "bridge-1"]
    assert all(map(ready, bridges))
    assert not cluster.get("pvc", "data-bridge-0", two.ns)


def test_one_goes_for_good(two: Platform, cluster: Cluster, cvat: Cvat, jobs: list[Job], results: Results) -> None:
    """Four jobs run on both; one bridge goes and never comes back: the other ends its runs, nothing lost or twice."""
    with job(cvat, two, MODEL, frames=DISTINCT, distinct=DISTINCT, query="conf_threshold=0.3") as small:
        small.start()
        assert two.wait_run(small.id)["state"] == "completed"
        found = small.found()
    for one in jobs:
        one.start()
    wait_for(lambda: _working(two, "bridge-1", jobs), "bridge-1 has runs of its own under way", 90)
    cluster.kubectl("scale", "statefulset/bridge", "--replicas=1", ns=two.ns)
    cluster.delete("pod", "bridge-1", two.ns, now=True)
    left = _unfinished(two, jobs)
    for one in jobs:
        run = two.wait_run(one.id, deadline_s=300)
        assert run["state"] == "completed", run
        assert one.found() == _repeated(found)
    assert left, "no run was under way any more when the bridge went"
    (bridge,) = cluster.pods(two.ns, BRIDGE)
    assert bridge["metadata"]["name"] == "bridge-0"
    results.figure("PostgreSQL, one of two bridges gone: runs under way then", len(left), "runs", of=JOBS)


def _working(two: Platform, pod: str, jobs: list[Job]) -> bool:
    """Whether that bridge, by its own log, works on one of the runs that are under way."""
    under_way = set(_unfinished(two, jobs))
    for line in two.cluster.logs(pod, two.ns).splitlines():
        try:
            if json.loads(line).get("run") in under_way:
                return True
        except (ValueError, AttributeError):
            continue
    return False


def _unfinished(two: Platform, jobs: list[Job]) -> list[str]:
    with two.api() as api:
        runs = [
            run
            for one in jobs
            for run in api.get("/api/v1/runs", params={"job": one.id}).raise_for_status().json()["runs"]
        ]
    return [run["id"] for run in runs if run["state"] in {"queued", "running", "waiting"}]


def _repeated(found: Counter[Any]) -> Counter[Any]:
    whole: Counter[Any] = Counter()
    for (frame, *rest), count in found.items():
        for copy in range(frame, FRAMES, DISTINCT):
            whole[copy, *rest] += count
    return whole
