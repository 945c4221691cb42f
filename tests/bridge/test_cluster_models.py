"""`KELP_V2_URL=kubernetes`, through real processes: models come and go in a cluster, jobs are annotated by them.

The cluster is an API server of ours; its gateway is a proxy in front of a real predictor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.bridge.reef import found_by_seed, held, labels, pngs
from tests.support.bridge import BridgeProcess
from tests.support.cvat import Cvat, wait_for
from tests.support.fault_proxy import FaultProxy
from tests.support.kube_api import KubeApiServer, recorded
from tests.support.predictor import Predictor, numpy_card

NAMESPACE = "reef"
READY = next(event["object"] for event in reversed(recorded("created.jsonl")) if "status" in event["object"])
STARTING = recorded("created.jsonl")[3]["object"]
MODEL = "numpy-reef"


@pytest.fixture
def cluster() -> Iterator[KubeApiServer]:
    with KubeApiServer() as server:
        yield server


@pytest.fixture
def gateway(predictor: Predictor) -> Iterator[FaultProxy]:
    with FaultProxy(predictor.url) as proxy:
        yield proxy


def service(name: str = MODEL, namespace: str = NAMESPACE, *, like: Any = READY) -> dict[str, Any]:
    """An InferenceService in the state that a recorded one had."""
    metadata = {"name": name, "generation": 1, "annotations": {"kelp.dev/card": f"kelp-card-{name}"}}
    status = {**like["status"]}
    if "address" in status:
        status["address"] = {"url": f"http://{name}.{namespace}.svc.cluster.local"}
    return {**like, "metadata": metadata, "status": status}


def deploy(cluster: KubeApiServer, name: str = MODEL, namespace: str = NAMESPACE, **card: Any) -> None:
    """A model with its card."""
    text = yaml.safe_dump(numpy_card(name, **card))
    cluster.put_map(f"kelp-card-{name}", {"card.yaml": text}, namespace)
    cluster.put(service(name, namespace), namespace)


@contextmanager
def bridge_on(
    cluster: KubeApiServer, folder: Path, cvat: Cvat, gateway_url: str, namespaces: str = "", **env: str
) -> Iterator[BridgeProcess]:
    settings = {
        "KUBECONFIG": str(cluster.kubeconfig(folder / "kube", NAMESPACE)),
        "KELP_V2_GATEWAY": gateway_url,
        "KELP_NAMESPACES": namespaces,
        **env,
    }
    with BridgeProcess(folder, cvat=cvat.server, v2_url="kubernetes", env=settings) as bridge:
        yield bridge


def started(cvat: Cvat, bridge: BridgeProcess, frames: int = 3, model: str = MODEL) -> tuple[int, int]:
    """A job that was started under the model's webhook; its project and id."""
    project = cvat.project(labels())
    cvat.webhook(project, bridge.webhook_url(f"model_name={model}"))
    (job,) = cvat.task(project, pngs(frames)).jobs
    cvat.start(job)
    return project, job


def listed(bridge: BridgeProcess) -> None:
    wait_for(lambda: bridge.ready()[1] == [])


def ping(cvat: Cvat, bridge: BridgeProcess, model: str) -> httpx.Response:
    """By hand a run of a job that is not there: 404 names the job where the model is known, else the model."""
    return bridge.post("/api/v1/runs", {"job": 99999999, "model": model})


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_model_that_comes_annotates_by_the_protocol_of_its_card(
    cluster: KubeApiServer, gateway: FaultProxy, predictor: Predictor, cvat: Cvat, folder: Path, protocol: str
) -> None:
    url = gateway.url if protocol == "rest" else f"http://{predictor.grpc}"
    with bridge_on(cluster, folder, cvat, url) as bridge:
        listed(bridge)
        deploy(cluster, protocol=protocol)
        project, job = started(cvat, bridge)
        run = bridge.wait_run(job=job)
        assert (run["state"], run["reason"]) == ("completed", None)
        assert held(cvat, project, job) == found_by_seed(3)
        assert run["details"]["model"]["title"] == "Numpy reef"
        assert bool(gateway.seen) == (protocol == "rest")


def test_nothing_but_a_run_wakes_a_model(cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path) -> None:
    """Each request to a sleeping model starts its pod: a GPU held for a listing."""
    deploy(cluster)
    with bridge_on(cluster, folder, cvat, gateway.url) as bridge:
        listed(bridge)
        assert "job 99999999" in ping(cvat, bridge, MODEL).text
        assert "no model 'nobody'" in ping(cvat, bridge, "nobody").text
        wait_for(lambda: cluster.count("configmaps") > 0)
        bridge.metrics()
    assert gateway.seen == []


def test_a_model_nobody_heard_of_is_refused_only_while_the_cluster_answers(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    deploy(cluster)
    with bridge_on(cluster, folder, cvat, gateway.url) as bridge:
        listed(bridge)
        refused = ping(cvat, bridge, "nobody")
        assert refused.status_code == 404
        assert f"there are: {MODEL}" in refused.text
        # The API server is away, which the watch cannot know yet: its list may lack a model that is new.
        cluster.refuse = lambda path: (503, "etcd is gone")
        wait_for(lambda: "job 99999999" in ping(cvat, bridge, "nobody").text)
        # Known ones work on.
        project, job = started(cvat, bridge)
        assert bridge.wait_run(job=job)["state"] == "completed"
        assert held(cvat, project, job) == found_by_seed(3)


def test_a_run_waits_for_a_model_that_is_being_made_and_says_what_for(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    cluster.put_map(f"kelp-card-{MODEL}", {"card.yaml": yaml.safe_dump(numpy_card())})
    cluster.put(service(like=STARTING))
    with bridge_on(cluster, folder, cvat, gateway.url) as bridge:
        listed(bridge)
        project, job = started(cvat, bridge)
        run = wait_for(lambda: next((r for r in bridge.runs(job=job) if r["state"] == "waiting"), None))
        assert f"waiting for {MODEL} to start" in run["message"]
        assert "is waiting for a Revision to become ready" in run["message"]
        cluster.put(service())
        run = bridge.wait_run(job=job)
        assert run["state"] == "completed"
        assert run["cold_start_s"] > 0
        assert held(cvat, project, job) == found_by_seed(3)


def test_a_model_that_never_gets_ready_ends_the_run_with_kserves_reason(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    cluster.put_map(f"kelp-card-{MODEL}", {"card.yaml": yaml.safe_dump(numpy_card(start_timeout=1))})
    stuck = service(like=STARTING)
    failure = {"reason": "ModelLoadFailed", "message": "sha256 of the weights does not match"}
    stuck["status"]["modelStatus"] = {"lastFailureInfo": failure}
    cluster.put(stuck)
    with bridge_on(cluster, folder, cvat, gateway.url) as bridge:
        listed(bridge)
        _, job = started(cvat, bridge)
        run = bridge.wait_run(job=job)
        assert run["state"] == "failed"
        assert "did not start within 1 s: ModelLoadFailed: sha256 of the weights does not match" in run["reason"]


def test_of_two_models_of_one_name_the_first_namespaces_is_used_and_it_is_said(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    deploy(cluster, namespace="other", title="The second one")
    deploy(cluster, namespace="reef", title="The first one")
    with bridge_on(cluster, folder, cvat, gateway.url, "reef, other") as bridge:
        listed(bridge)
        health = bridge.http.get(f"http://127.0.0.1:{bridge.ports['metrics']}/health/ready").json()
        assert f"model {MODEL} is in reef and in other: the one in reef is used" in health["notes"]
        _, job = started(cvat, bridge)
        assert bridge.wait_run(job=job)["details"]["model"]["title"] == "The first one"
        cluster.delete(MODEL, "reef")
        wait_for(lambda: not [note for note in _notes(bridge) if MODEL in note])

        def title() -> str:
            _, job = started(cvat, bridge)
            return str(bridge.wait_run(job=job)["details"]["model"]["title"])

        wait_for(lambda: title() == "The second one")


def test_a_run_that_waits_for_a_model_follows_it_to_where_it_is_now(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    """What was asked at the old address may never be answered."""
    deploy(cluster, namespace="other")
    with bridge_on(cluster, folder, cvat, gateway.url, "reef,other") as bridge:
        listed(bridge)
        hang = gateway.hang(path="/ready")
        _, job = started(cvat, bridge)
        hang.wait()
        wait_for(lambda: [run for run in bridge.runs(job=job) if run["state"] == "waiting"])
        deploy(cluster, namespace="reef")
        assert bridge.wait_run(job=job)["state"] == "completed"


def test_a_namespace_that_may_not_be_read_is_named_and_the_others_serve(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    denied = 'inferenceservices is forbidden: cannot list resource in the namespace "secret"'
    cluster.refuse = lambda path: (403, denied) if "/namespaces/secret/" in path else None
    deploy(cluster)
    with bridge_on(cluster, folder, cvat, gateway.url, "reef,secret") as bridge:
        wait_for(lambda: any(denied in line and "namespace secret" in line for line in bridge.ready()[1]))
        _, job = started(cvat, bridge)
        assert bridge.wait_run(job=job)["state"] == "completed"
        # What may be in there is not refused.
        assert "job 99999999" in ping(cvat, bridge, "perhaps-in-there").text


def test_a_card_that_cannot_be_used_is_named_and_one_of_a_newer_kelp_can(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    deploy(cluster, "newer", of_tomorrow=1, weights={"uri": "weights.bin", "of_tomorrow": True})
    deploy(cluster, "broken", task="guess")
    cluster.put(service("cardless"))
    cluster.put_map("kelp-card-mixed-up", {"card.yaml": yaml.safe_dump(numpy_card("somebody"))})
    cluster.put(service("mixed-up"))
    with bridge_on(cluster, folder, cvat, gateway.url) as bridge:
        listed(bridge)
        wait_for(lambda: len(_notes(bridge)) >= 3)
        notes = " | ".join(_notes(bridge))
        assert "model broken: its card cannot be read: ConfigMap kelp-card-broken: task" in notes
        assert "model cardless: its card cannot be read: " in notes
        assert "is the card of somebody, not of mixed-up" in notes
        assert "newer" not in notes


def test_labels_that_a_card_leaves_to_the_weights_are_learned_once_the_model_is_awake(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    deploy(cluster, labels=[])
    for _ in range(2):  # the second bridge knows them from the first
        with bridge_on(cluster, folder, cvat, gateway.url) as bridge:
            listed(bridge)
            project = cvat.project([{"name": "nothing of the model's", "type": "polygon"}])
            cvat.webhook(project, bridge.webhook_url(f"model_name={MODEL}"))
            (job,) = cvat.task(project, pngs(1)).jobs
            cvat.start(job)
            run = bridge.wait_run(job=job)
            assert run["state"] == "failed"
            assert "red" in json.dumps(run)
    asked = gateway.count("POST", "/infer")
    assert asked == 1, "known labels that fit nothing end a run before it infers"


def test_a_misspelt_label_of_a_model_whose_card_names_none_ends_the_run_before_it_touches_the_job(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    deploy(cluster)
    with bridge_on(cluster, folder, cvat, gateway.url) as bridge:
        listed(bridge)
        project, job = started(cvat, bridge)
        assert bridge.wait_run(job=job)["state"] == "completed"
        before = cvat.shapes(job)
        assert held(cvat, project, job) == found_by_seed(3)
    deploy(cluster, labels=[])
    with bridge_on(cluster, folder, cvat, gateway.url) as bridge:
        listed(bridge)
        wish = {"job": job, "model": MODEL, "parameters": {"labels": ["gren"], "label_map": {"Red": "red"}}}
        asked = bridge.post("/api/v1/runs", wish)
        assert asked.status_code == 202, asked.text
        run = bridge.wait_run(asked.json()["runs"][0])
        assert run["state"] == "failed"
        assert f"parameter 'labels': {MODEL} has no label 'gren'; it has: red, green, blue" in run["reason"]
        assert cvat.shapes(job) == before
        # It is known from now on.
        wait_for(lambda: bridge.post("/api/v1/runs", wish).status_code == 400)


def test_what_stands_between_does_not_end_a_run(
    cluster: KubeApiServer, gateway: FaultProxy, cvat: Cvat, folder: Path
) -> None:
    """A gateway and queue-proxy as they were met on a cluster; no frame is set aside for them."""
    deploy(cluster)
    with bridge_on(cluster, folder, cvat, gateway.url) as bridge:
        listed(bridge)
        gateway.answer(404, path="/ready")
        gateway.answer(504, path="/ready", body=b"upstream request timeout")
        gateway.answer(503, path="/ready", body=b"no healthy upstream")
        gateway.answer(502, path="/infer", body=b"dial tcp 127.0.0.1:8080: connect: connection refused\n")
        gateway.answer(503, path="/infer", body=b"pending request queue full\n", times=2)
        gateway.answer(500, path="/infer", body=b"Error getting active endpoint: revision not found\n")
        gateway.answer(504, path="/infer", body=b"request timeout")
        gateway.answer(429, path="/infer", body=b"local_rate_limited")
        project, job = started(cvat, bridge, frames=6)
        run = bridge.wait_run(job=job)
        assert (run["state"], run["reason"]) == ("completed", None)
        assert run["frames"] == {"total": 6, "done": 6, "set_aside": 0}
        assert held(cvat, project, job) == found_by_seed(6)


def _notes(bridge: BridgeProcess) -> list[str]:
    notes: list[str] = bridge.http.get(f"http://127.0.0.1:{bridge.ports['metrics']}/health/ready").json()["notes"]
    return notes
