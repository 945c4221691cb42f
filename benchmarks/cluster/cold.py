"""Cold starts: a request to a model without a pod, taken apart."""

from __future__ import annotations

import json
import time
from typing import Any

from benchmarks.cluster.stage import Stage
from tests.cluster.support.cluster import wait_for
from tests.cluster.support.timeline import PodWatch, at, log_lines, process_started

OWN = ("container start", "weights", "import", "load", "warm-up", "first prediction")
"""The parts that a bare script has, too; the others are Knative's and the kubelet's."""


def kelp(stage: Stage, name: str, protocol: str) -> dict[str, float]:
    """Seconds from request to answer as `total`, and its parts."""
    seen = _asked(stage, name, protocol, "image")
    lines = {line["message"]: line for line in log_lines(stage.cluster, stage.ns, seen["pod"])}
    ready, process, sent = lines["ready"], seen["process"], seen["sent"]
    is_ready = at(ready)
    imported = is_ready - ready["make_s"] - ready["load_s"] - ready["warm_up_s"]
    # Nobody can ask a pod before the kubelet has told its address, however soon it is ready.
    known = max(is_ready, seen["addressed"])
    parts = {
        "scheduling": seen["scheduled"] - sent,
        "container start": process - seen["scheduled"],
        # On a volume they are mounted with the container; fetched ones would be an init container's time.
        "weights": 0.0,
        "import": imported - process + ready["make_s"],
        "load": ready["load_s"],
        "warm-up": ready["warm_up_s"],
        "until its address is known": known - is_ready,
        "until it is asked": max(0.0, seen["answered"] - seen["warm_s"] - known),
        "first prediction": seen["warm_s"],
    }
    return {"total": seen["answered"] - sent, "own": sum(parts[part] for part in OWN), **parts}


def stock(stage: Stage) -> dict[str, float]:
    """The same of the stock predictor, which says less of itself."""
    seen = _asked(stage, "stock", "rest", "tensor")
    return {
        "total": seen["answered"] - seen["sent"],
        "scheduling": seen["scheduled"] - seen["sent"],
        "container start": seen["process"] - seen["scheduled"],
        "its own start": seen["answered"] - seen["warm_s"] - seen["process"],
        "first prediction": seen["warm_s"],
    }


def script(stage: Stage, number: int) -> dict[str, float]:
    """Seconds from the pod's having a node until a bare script in Kelp's image has predicted once."""
    name = f"script-{number}"
    with PodWatch(stage.cluster, stage.ns, f"app={name}") as watch:
        time.sleep(1)  # the watch is open
        stage.cluster.apply(stage.script(name), ns=stage.ns)
        wait_for(lambda: _ended(stage, name), "the script's end", 120, 0.5)
    said = json.loads(stage.cluster.logs(name, stage.ns).strip().splitlines()[-1])
    stage.cluster.delete("pod", name, stage.ns, wait=False)
    scheduled = watch.seen[name]["scheduled"]
    return {
        "total": said["ended"] - scheduled,
        "container start": said["began"] - scheduled,
        "its own start": said["ended"] - said["began"],
    }


def _ended(stage: Stage, name: str) -> bool:
    phase = stage.cluster.get("pod", name, stage.ns)["status"]["phase"]
    assert phase != "Failed", stage.cluster.logs(name, stage.ns)
    return bool(phase == "Succeeded")


def _asked(stage: Stage, name: str, protocol: str, given: str) -> dict[str, Any]:
    stage.wait_asleep(name)
    time.sleep(2)  # its route leads to the activator again
    selector = f"serving.kserve.io/inferenceservice={name}"
    with PodWatch(stage.cluster, stage.ns, selector) as watch:
        answer = stage.inside("cold", protocol, stage.host(name), name, given)
        wait_for(lambda: any("addressed" in times for times in watch.seen.values()), "the pod's news", 10)
        (pod,) = watch.seen
        process = process_started(stage.cluster, stage.ns, pod, "kserve-container")
    return {"pod": pod, "process": process, **answer, **watch.seen[pod]}
