"""What a run on a cluster leaves: a raw log, and a JSON file with commit, versions, outcomes and figures."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import describe
from tests.cluster.support.cluster import Cluster
from tests.cluster.support.shell import ROOT

FOLDER = Path(os.environ.get("KELP_TEST_RESULTS") or ROOT / "benchmarks" / "cluster" / "results")


class Results:
    """`NAME.json`: outcomes by test and figures by name; those that a run does not make again keep their own commit."""

    def __init__(self, name: str) -> None:
        self.log = FOLDER / f"{name}.log"
        self._file = FOLDER / f"{name}.json"
        self.machine = describe()
        self.versions: dict[str, str] = {}
        self._previous: dict[str, Any] = {}
        if self._file.exists():
            self._previous = json.loads(self._file.read_text(encoding="utf-8"))
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.log.write_text("", encoding="utf-8")
        self._tests: dict[str, Any] = dict(self._previous.get("tests", {}))
        self._figures: dict[str, Any] = dict(self._previous.get("figures", {}))

    def outcome(self, test: str, proves: str, outcome: str, seconds: float, why: str = "") -> None:
        """How one test ended: passed, failed, or not run (and why)."""
        self._tests[test] = {
            "proves": proves,
            "outcome": outcome,
            "seconds": round(seconds, 1),
            **({"why": why} if why else {}),
            **self._made(),
        }
        self.write()

    def figure(self, name: str, samples: float | Sequence[float], unit: str, **more: Any) -> None:
        """A measurement: the median of its samples, and all of them."""
        values = [float(value) for value in (samples if isinstance(samples, Sequence) else [samples])]
        self._figures[name] = {
            "value": round(median(values), 4),
            "unit": unit,
            "samples": [round(value, 4) for value in values],
            **more,
            **self._made(),
        }
        self.write()

    def _made(self) -> dict[str, str]:
        return {"commit": self.machine["commit"], "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")}

    def write(self) -> None:
        """After each test, so that a run that is broken off costs only what it did not reach."""
        whole = {
            "machine": self.machine,
            "versions": self.versions or self._previous.get("versions", {}),
            "tests": dict(sorted(self._tests.items())),
            "figures": dict(sorted(self._figures.items())),
        }
        self._file.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def cluster_versions(cluster: Cluster) -> dict[str, str]:
    """Kubernetes' version, and Knative's, KServe's and Istio's where their objects say it.

    `KELP_TEST_VERSIONS` (name=version,…) says it for them where they were built without.
    """
    known = dict(pair.split("=", 1) for pair in os.environ.get("KELP_TEST_VERSIONS", "").split(",") if "=" in pair)
    found = json.loads(cluster.kubectl("version", "-o", "json"))
    said = {"kubernetes": found["serverVersion"]["gitVersion"]}
    label = "app.kubernetes.io/version"
    for name, namespace, deployment in (
        ("knative", "knative-serving", "controller"),
        ("kserve", "kserve", "kserve-controller-manager"),
        ("istio", "istio-system", "istiod"),
    ):
        made = cluster.get("deployment", deployment, namespace) or {"metadata": {}}
        labels = made["metadata"].get("labels", {})
        said[name] = known.get(name) or labels.get(label) or labels.get("operator.istio.io/version") or "unknown"
    return said
