"""Why a pod does not run, from statuses as the kubelet and the scheduler write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kelp.deploy.cluster.listing import state_of
from kelp.deploy.cluster.pods import last_words, why_not_running


def pod(*, conditions: tuple[dict[str, str], ...] = (), phase: str = "Pending", **containers: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": phase, "conditions": list(conditions), **containers}
    return {"metadata": {"name": "p"}, "status": status}


def container(**more: Any) -> dict[str, Any]:
    return {"name": "kserve-container", "image": "kn.local/x:1", "restartCount": 0, **more}


def waiting(reason: str) -> dict[str, Any]:
    return pod(containerStatuses=[container(state={"waiting": {"reason": reason}})])


ERROR = json.dumps({"level": "error", "message": "cannot serve", "error": "/mnt/models/a.onnx: wrong content"})


@pytest.mark.parametrize(
    ("given", "said", "final"),
    [
        # No node has room: one may come.
        (
            pod(conditions=({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                             "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."},)),
            "Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", False,
        ),
        # The first failed pull may be a registry's hiccup, the second is not.
        (pod(containerStatuses=[container(state={"waiting": {"reason": "ErrImagePull", "message": "not found"}})]),
         "ErrImagePull: not found (image kn.local/x:1)", False),
        (pod(containerStatuses=[container(state={"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}})]),
         "ImagePullBackOff: Back-off (image kn.local/x:1)", True),
        # Weights are brought by an init container.
        (pod(initContainerStatuses=[container(name="storage-initializer", state={
            "terminated": {"exitCode": 1, "reason": "Error", "message": "no bucket"}})]),
         "Error: container storage-initializer ended with exit code 1: no bucket", False),
        (pod(phase="Running", containerStatuses=[container(
            restartCount=1, state={"waiting": {"reason": "CrashLoopBackOff"}},
            lastState={"terminated": {"exitCode": 3, "reason": "Error", "message": ERROR}})]),
         "Error: container kserve-container ended with exit code 3: /mnt/models/a.onnx: wrong content", True),
        (pod(phase="Running", containerStatuses=[container(
            restartCount=1, lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})]),
         "OOMKilled: container kserve-container took more memory than its limit", True),
        (pod(phase="Failed", containerStatuses=[]), "Failed", True),
    ],
)  # fmt: skip
def test_the_reason_is_told_in_one_line(given, said, final):
    why = why_not_running(given)
    assert why is not None
    assert (str(why), why.final) == (said, final)


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_pod_that_is_on_its_way_has_nothing_to_say(reason):
    assert why_not_running(pod(containerStatuses=[container(state={"waiting": {"reason": reason}})])) is None


def test_the_last_words_are_the_last_error_of_a_log():
    plain = "\x1b[0;93mtelemetry\x1b[m"
    assert last_words(f"{ERROR}\n{plain}") == "/mnt/models/a.onnx: wrong content"
    assert last_words(f'{{"level": "info"}}\n{plain}\n') == "telemetry"
    assert last_words("") == ""


def service(status: str = "True", created: str = "r1", ready: str = "r1", **more: Any) -> dict[str, Any]:
    predictor = {"latestCreatedRevision": created, "latestReadyRevision": ready}
    return {
        "metadata": {"name": "m"},
        "status": {
            "conditions": [{"type": "Ready", "status": status, **more}],
            "components": {"predictor": predictor},
        },
    }


READY = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("found", "pods", "state"),
    [
        (service(), [], "asleep"),
        (service(), [pod(conditions=(READY,), phase="Running")], "ready"),
        (
            service(),
            [pod(containerStatuses=[container(state={"waiting": {"reason": "ContainerCreating"}})])],
            "starting",
        ),
        (service(), [pod(containerStatuses=[container(state={"waiting": {"reason": "ImagePullBackOff"}})])], "failing"),
        (service("Unknown"), [], "starting"),
        (service("False", message="no such runtime"), [], "failing"),
        (service(created="r2"), [], "starting"),
    ],
)
def test_the_state_of_a_model(found, pods, state):
    assert state_of(found, pods)[0] == state
