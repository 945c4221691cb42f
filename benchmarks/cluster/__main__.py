"""`make bench-cluster`: measures on the cluster of KUBECONFIG; writes benchmarks/cluster/results and docs/cluster.md.

python -m benchmarks.cluster [--cold N] [--keep]: N cold starts of each kind (5).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence

from benchmarks.cluster import cold, warm
from benchmarks.cluster.page import write_page
from benchmarks.cluster.stage import Stage
from tests.cluster.support.cluster import Cluster
from tests.cluster.support.images import images
from tests.cluster.support.results import Results, cluster_versions
from tests.cluster.support.shell import Shell
from tests.cluster.support.volumes import Volumes

GOAL = 1.25  # of container start + script


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", type=int, default=5, metavar="N", help="cold starts of each kind")
    parser.add_argument("--keep", action="store_true", help="leave the namespace as it is")
    given = parser.parse_args()
    if not os.environ.get("KUBECONFIG"):
        print("the benchmark needs a cluster: KUBECONFIG=FILE make bench-cluster", file=sys.stderr)
        return 1
    results = Results("bench-cluster")
    shell = Shell(results.log)
    cluster = Cluster(shell)
    results.versions = cluster_versions(cluster)
    prefix = os.environ.get("KELP_TEST_NAMESPACE", "kelp-test")
    stage = Stage(cluster, images(shell), Volumes(cluster), f"{prefix}-bench")
    try:
        stage.set_up()
        ratio = measure_cold(stage, results, given.cold)
        measure_warm(stage, results)
    finally:
        if not given.keep:
            stage.close()
    write_page()
    print(f"cold start against container start + script: {ratio:.2f} (goal {GOAL})")
    return 0 if ratio <= GOAL else 1


def measure_cold(stage: Stage, results: Results, count: int) -> float:
    """The ratio that is the goal's. One of each in turn, so that the machine's moods meet all alike."""
    taken: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def note(kind: str, seconds: Mapping[str, float]) -> None:
        for part, value in seconds.items():
            taken[kind][part].append(value)
        print(f"· {kind}: {seconds['total']:.2f} s", flush=True)

    for number in range(count):
        note("script", cold.script(stage, number))
        note("rest", cold.kelp(stage, "rest", "rest"))
        note("stock", cold.stock(stage))
        note("grpc", cold.kelp(stage, "grpc", "grpc"))
    for kind, parts in taken.items():
        for part, values in parts.items():
            results.figure(f"cold start, {kind}: {part}", values, "s")
    rest = {part: statistics.median(values) for part, values in taken["rest"].items()}
    script, stock = (statistics.median(taken[kind]["total"]) for kind in ("script", "stock"))
    own = rest["own"] / script
    results.figure("cold start, rest: against container start + script, without Knative's parts", own, "", goal=GOAL)
    whole = rest["total"] / script
    results.figure("cold start, rest: against container start + script", whole, "", goal=GOAL)
    results.figure("cold start, rest: against the stock predictor", rest["total"] / stock, "", goal=1.0)
    return whole


def measure_warm(stage: Stage, results: Results) -> None:
    for way, found in warm.ways(stage).items():
        results.figure(f"warm, {way}", _ms(found), "ms")
        print(f"· {way}: {statistics.median(found) * 1000:.2f} ms", flush=True)
    for protocol, found in warm.protocols(stage).items():
        results.figure(f"{protocol}: latency", _ms(found["latencies_s"]), "ms")
        results.figure(f"{protocol}: throughput, {warm.WORKERS} at once", found["per_second"], "images/s")
        results.figure(f"{protocol}: p99, {warm.WORKERS} at once", found["p99_s"] * 1000, "ms")
        print(f"· {protocol}: {found['per_second']:.1f} images/s", flush=True)


def _ms(seconds: Sequence[float]) -> list[float]:
    return [value * 1000 for value in seconds]


if __name__ == "__main__":
    sys.exit(main())
