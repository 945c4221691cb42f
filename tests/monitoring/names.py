"""What the platform measures, as the code has it: sample name → its labels."""

from __future__ import annotations

from prometheus_client.metrics import MetricWrapperBase

from bridge import metrics as of_bridge
from kelp.local.metrics import Metrics as LocalMetrics
from predictors.serving.metrics import PredictorMetrics

BY_KIND = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
TARGET = frozenset({"namespace", "pod", "job", "instance"})
"""Labels that every series of a pod has."""


def bridge() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for value in vars(of_bridge).values():
        if isinstance(value, MetricWrapperBase):
            name = value._name + ("_total" if value._type == "counter" else "")
            found |= _samples(name, value._type, value._labelnames)
    for family in of_bridge._MODELS.collect():
        found[family.name] = frozenset(family._labelnames)
    return found


def predictor() -> dict[str, frozenset[str]]:
    """The target's label `model` is the pod's own."""
    found: dict[str, frozenset[str]] = {}
    for metric in PredictorMetrics("m", lambda: 0)._all:
        found |= _samples(metric.name, metric.kind, (*metric._labels, "model"))
    return found


def kelp_up() -> set[str]:
    lines = LocalMetrics().render([]).splitlines()
    return {line.split()[2] for line in lines if line.startswith("# TYPE")}


def outside() -> dict[str, frozenset[str]]:
    """kube-state-metrics' own, from its documentation."""
    pod = {"namespace", "pod", "uid"}
    return {
        "kube_pod_container_resource_limits": frozenset(pod | {"container", "node", "resource", "unit"}),
        "kube_pod_container_status_waiting_reason": frozenset(pod | {"container", "reason"}),
        "kube_pod_init_container_status_waiting_reason": frozenset(pod | {"container", "reason"}),
        "kube_pod_status_phase": frozenset(pod | {"phase"}),
        "kube_pod_status_scheduled": frozenset(pod | {"condition"}),
        "kube_pod_status_unschedulable": frozenset(pod),
    }


def _samples(name: str, kind: str, labels: tuple[str, ...]) -> dict[str, frozenset[str]]:
    suffixes = BY_KIND[kind]
    return {name + s: frozenset(labels) | ({"le"} if s == "_bucket" else set()) for s in suffixes}
