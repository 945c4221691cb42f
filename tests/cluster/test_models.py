"""Models on a cluster: kserve's clients, cold starts, new weights, rolling updates, canaries."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import cards
from tests.cluster.support.cluster import Cluster, wait_for
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
    before = inside("v2", "REST", models.host("reef"), "reef", 320)
    (pod,) = models.model_pods("reef")
    sent = models.deploy(str(cards.write(folder / "other", _tiny("reef"))))
    after = inside("v2", "REST", models.host("reef"), "reef", 320)
    (new,) = [p for p in models.model_pods("reef") if p["metadata"]["name"] != pod["metadata"]["name"]]
    assert _image(new) == _image(pod)
    tiny = {label["name"] for label in _tiny("reef")["labels"]}
    assert after["label"] in {*tiny, None}
    assert before["label"] not in tiny
    again = models.deploy(str(folder / "other"), "--no-wake")
    assert "sent" not in again.lower() or "already" in again.lower(), f"{sent}\n{again}"


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
    import yaml

    data = yaml.safe_load(TINY.read_text(encoding="utf-8"))
    weights = (TINY.parent / "yolo-tiny-detect.onnx").resolve()
    changed = {"name": name, "weights": {"uri": str(weights)}, "resources": cards.SMALL}
    return {**data, **changed, "scale": {"retention": cards.RETENTION_S, "concurrency": 8}}


def _image(pod: dict[str, Any]) -> str:
    statuses = {status["name"]: status for status in pod["status"]["containerStatuses"]}
    return str(statuses["kserve-container"]["imageID"])


def _share_of_none(answers: dict[str, Any]) -> float:
    """Percent of the answers without a detection: those of the version that is never sure enough."""
    assert answers["failed"] == []
    return 100 * answers["by_detections"].get("0", 0) / answers["sent"]
