"""Models on a cluster: kserve's clients, cold starts, new weights, rolling updates, canaries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.support import cards
from tests.cluster.support.cluster import Cluster, Object, ready, wait_for
from tests.cluster.support.platform import Platform
from tests.cluster.support.results import Results
from tests.cluster.support.shell import ROOT

COLD_STARTS = 3
LOAD_S, WORKERS = 40, 3
TINY = ROOT / "tests" / "data" / "weights" / "yolo-tiny-detect.yaml"
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def models(platform: Platform, folder: Path) -> Platform:
    """A platform with two models, asleep: `reef` by REST, `reef-grpc` by gRPC."""
    platform.install(folder)
    both = cards.write(folder / "cards", cards.card("reef"), cards.card("reef-grpc", protocol="grpc"))
    platform.deploy(str(both), "--no-wake")
    return platform


@pytest.mark.parametrize(("protocol", "name"), [("REST", "reef"), ("GRPC", "reef-grpc")])
def test_kserves_client(models: Platform, inside: Run, protocol: str, name: str) -> None:
    """kserve's own client is answered through the gateway: ready, JSON and binary tensors over REST, gRPC."""
    answer = inside("v2", protocol, models.host(name), name)
    assert answer["ready"] is True
    assert answer["detections"] > 0
    assert answer["label"] in {label["name"] for label in cards.card(name)["labels"]}
    assert {"box", "score", "polygon_points", "mask_rle"} <= set(answer["outputs"])


@pytest.mark.parametrize(("protocol", "name"), [("rest", "reef"), ("grpc", "reef-grpc")])
def test_cold_start(models: Platform, inside: Run, results: Results, protocol: str, name: str) -> None:
    """A request to a model without a pod is answered; how long after it was sent is measured."""
    cold, warm = [], []
    for _ in range(COLD_STARTS):
        models.wait_asleep(name)
        answer = inside("cold", protocol, models.host(name), name, "image")
        cold.append(answer["answered"] - answer["sent"])
        warm.append(answer["warm_s"])
    results.figure(f"cold start, {protocol}: request to answer", cold, "s")
    results.figure(f"warm request, {protocol}, during these tests", warm, "s")


def test_new_weights_without_an_image_build(models: Platform, inside: Run, folder: Path, cluster: Cluster) -> None:
    """`kelp deploy` of a card with other weights: the model answers with these, from the image that it had."""
    before = inside("v2", "REST", models.host("reef"), "reef")
    (old,) = models.model_pods("reef")
    assert _weights_of(cluster, old) == _sha256(Path(cards.card("reef")["weights"]["uri"]))
    other = _tiny("reef")
    models.deploy(str(cards.write(folder / "other", other)))
    after = inside("v2", "REST", models.host("reef"), "reef")
    new = wait_for(lambda: _newest(models.model_pods("reef"), old), "a pod with the new weights")
    assert _weights_of(cluster, new) == _sha256(Path(other["weights"]["uri"]))
    assert _image(new) == _image(old)
    assert after["detections"] != before["detections"]


def test_rolling_update_under_load(models: Platform, inside: Run, folder: Path, results: Results) -> None:
    """Requests go on while `kelp deploy` brings a changed card: not one fails, and the new version takes over."""
    first = cards.card("rolling", settings={"conf_threshold": 0.25})
    models.deploy(str(cards.write(folder / "one", first)))
    with ThreadPoolExecutor(1) as pool:
        load: Future[Any] = pool.submit(
            inside, "load", models.host("rolling"), "rolling", LOAD_S, WORKERS, timeout_s=LOAD_S + 90
        )
        wait_for(lambda: models.model_pods("rolling"), "a pod under load")
        # Nothing is as sure as 0.999: the new version finds nothing.
        models.deploy(str(cards.write(folder / "two", first | {"settings": {"conf_threshold": 0.999}})))
        answers = load.result()
    assert answers["failed"] == []
    assert set(answers["by_detections"]) >= {"0"}, answers
    assert len(answers["by_detections"]) == 2, "both versions answered in their time"
    results.figure("rolling update: requests, none failed", answers["sent"], "requests")
    results.figure("rolling update: p99 latency meanwhile", answers["p99_ms"], "ms")


def test_canary(models: Platform, inside: Run, folder: Path, results: Results) -> None:
    """A canary of 20 % gets about that share of the requests, counted; taken back, it gets none."""
    first = cards.card("canary", settings={"conf_threshold": 0.25}, scale={"retention": 60, "concurrency": 8})
    models.deploy(str(cards.write(folder / "sure", first)))
    changed = cards.write(folder / "unsure", first | {"settings": {"conf_threshold": 0.999}})
    models.deploy(str(changed), "--canary", "20")
    counted = _share_of_none(inside("load", models.host("canary"), "canary", 25, 2))
    results.figure("canary of 20 %: share of the requests", counted, "%")
    assert 10 < counted < 30
    models.kelp("update", "canary", "--canary", "0", "--platform", "kube")
    wait_for(lambda: _share_of_none(inside("load", models.host("canary"), "canary", 2, 2)) == 0, "rolled back", 60)
    assert _share_of_none(inside("load", models.host("canary"), "canary", 5, 2)) == 0


def test_two_versions_under_two_names(models: Platform, inside: Run, folder: Path) -> None:
    """`version: v2` of a card is a model of its own, NAME-v2, beside the one without."""
    models.deploy(str(cards.write(folder / "v2", cards.card("reef-grpc", version="v2"))))
    answer = inside("v2", "REST", models.host("reef-grpc-v2"), "reef-grpc-v2", 320)
    assert answer["ready"] is True
    assert inside("v2", "GRPC", models.host("reef-grpc"), "reef-grpc", 320)["ready"] is True


def _tiny(name: str) -> dict[str, Any]:
    data = yaml.safe_load(TINY.read_text(encoding="utf-8"))
    weights = {"uri": str(TINY.with_suffix(".onnx"))}
    scale = {"retention": cards.RETENTION_S, "concurrency": 8}
    return {**data, "name": name, "weights": weights, "resources": cards.SMALL, "scale": scale}


def _newest(pods: list[Object], old: Object) -> Object | None:
    """A pod that runs and is not `old`."""
    others = [pod for pod in pods if pod["metadata"]["name"] != old["metadata"]["name"] and ready(pod)]
    return others[0] if others else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _weights_of(cluster: Cluster, pod: Object) -> str:
    """The sha256 of what the model's container has at hand."""
    meta = pod["metadata"]
    command = ["sh", "-c", "sha256sum /mnt/models/*.onnx"]
    return cluster.exec(meta["name"], meta["namespace"], *command, container="kserve-container").split()[0]


def _image(pod: Object) -> str:
    statuses = {status["name"]: status for status in pod["status"]["containerStatuses"]}
    return str(statuses["kserve-container"]["imageID"])


def _share_of_none(answers: dict[str, Any]) -> float:
    """Percent of the answers without a detection: those of the version that is never sure enough."""
    assert answers["failed"] == []
    return 100 * answers["by_detections"].get("0", 0) / answers["sent"]
