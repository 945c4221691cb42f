"""The bridge finds models by watching InferenceServices, as they come, change, fail and go; it wakes none by that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.support import cards
from tests.cluster.support.annotating import job
from tests.cluster.support.cluster import Cluster, Object, wait_for
from tests.cluster.support.forward import Forward
from tests.cluster.support.platform import Platform
from tests.cluster.support.results import Results
from tests.support.cvat import Cvat

MODEL = "reef"


@pytest.fixture(scope="module")
def watching(platform: Platform, folder: Path) -> Platform:
    """A platform that runs before there is any model."""
    platform.install(folder)
    return platform


@pytest.fixture(scope="module")
def both(watching: Platform, cluster: Cluster) -> Iterator[Platform]:
    """The bridge looks into a second namespace too, in which it may do nothing yet."""
    second = _second(watching)
    cluster.namespace(second)
    _look_into(watching, f"{watching.ns},{second}")
    yield watching
    _look_into(watching, watching.ns)
    cluster.remove_namespace(second)


def test_a_model_is_known_as_soon_as_it_is_deployed(
    watching: Platform, cvat: Cvat, folder: Path, results: Results
) -> None:
    """Deployed while the bridge runs: known without a restart and without a pod; it annotates, by REST and by gRPC."""
    assert "no model" in _asked(watching, MODEL)
    both_protocols = cards.write(folder / "cards", cards.card(MODEL), cards.card("reef-grpc", protocol="grpc"))
    watching.deploy(str(both_protocols), "--no-wake")
    for name in (MODEL, "reef-grpc"):
        wait_for(lambda name=name: "no model" not in _asked(watching, name), f"{name} known", 10)
        assert watching.model_pods(name) == [], "asking whether it exists must not wake it"
    for name in (MODEL, "reef-grpc"):
        watching.wait_asleep(name)
        with job(cvat, watching, name, frames=2) as one:
            one.start()
            run = watching.wait_run(one.id)
            assert run["state"] == "completed", run
            assert run["shapes"]["written"] > 0
            assert run["cold_start_s"] > 0, "it slept"
        results.figure(f"{name}: cold start that a run waited for", run["cold_start_s"], "s")


def test_a_changed_title_is_known_and_rolls_nothing(watching: Platform, cvat: Cvat, folder: Path) -> None:
    """A card's words live beside the InferenceService: a run has the new title, the model its old revision."""
    before = _revision(watching, MODEL)
    titled = cards.card(MODEL, title="Reef, with another title")
    watching.deploy(str(cards.write(folder / "titled", titled)), "--no-wake")
    assert _revision(watching, MODEL) == before

    def title() -> str:
        with job(cvat, watching, MODEL, frames=1) as one:
            one.start()
            return str(watching.wait_run(one.id)["details"]["model"]["title"])

    wait_for(lambda: title() == "Reef, with another title", "the new title", 60)


def test_a_model_that_cannot_start_ends_the_run_within_its_time(
    watching: Platform, cvat: Cvat, cluster: Cluster, folder: Path
) -> None:
    """Its image is not there: the run says that it waits, and ends as failed with a reason, not for ever waiting."""
    watching.deploy(str(cards.write(folder / "bad", cards.card("imageless", start_timeout=20))), "--no-wake")
    good = _revision(watching, "imageless", "latestReadyRevision")
    cluster.patch("isvc", "imageless", watching.ns, {"spec": {"predictor": {"model": {"image": "kn.local/none:1"}}}})
    wait_for(lambda: _revision(watching, "imageless", "latestReadyRevision") != good, "a revision without an image", 60)
    cluster.wait_ready("isvc", "imageless", watching.ns)
    with job(cvat, watching, "imageless", frames=1) as one:
        one.start()
        with watching.api() as api:

            def state() -> str:
                runs = api.get("/api/v1/runs", params={"job": one.id}).raise_for_status().json()["runs"]
                return str(runs[0]["state"]) if runs else ""

            wait_for(lambda: state() == "waiting", "the run says that it waits", 30)
        run = watching.wait_run(one.id)
    assert run["state"] == "failed"
    assert "imageless did not start within 20 s" in run["reason"]
    watching.kelp("delete", "imageless", "--platform", "kube")
    wait_for(lambda: not watching.model_pods("imageless"), "its pods gone", 60)


def test_a_model_that_is_gone_is_waited_for_and_comes_back(watching: Platform, cvat: Cvat, folder: Path) -> None:
    """`kelp delete` and `kelp deploy` again: a job started in between is annotated by the new one."""
    watching.kelp("delete", MODEL, "--platform", "kube")
    with job(cvat, watching, MODEL, frames=1) as one:
        one.start()
        wait_for(lambda: {d["status_code"] for d in cvat.deliveries(one.webhook)} & {202}, "accepted all the same", 30)
        watching.deploy(str(cards.write(folder / "again", cards.card(MODEL))), "--no-wake")
        assert watching.wait_run(one.id)["state"] == "completed"


def test_a_second_namespace_is_served_once_the_bridge_may_read_it(both: Platform, cluster: Cluster) -> None:
    """Said in readiness until a Role allows it, then known without a restart; of one name the first one's wins."""
    second = _second(both)
    wait_for(lambda: any(f"namespace {second}" in line for line in _health(both)["missing"]), "the refusal is told", 60)
    assert "no model" not in _asked(both, "perhaps-in-there"), "what may be in there is not refused"
    cluster.apply(*_reader(both.ns), ns=second)
    wait_for(lambda: _health(both)["missing"] == [], "the namespace is read", 90)
    here = cluster.get("isvc", MODEL, both.ns)
    for name in (MODEL, "only-there"):
        cluster.apply(*_model(name, here), ns=second)
    wait_for(lambda: any(f"the one in {both.ns} is used" in note for note in _health(both)["notes"]), "told", 30)
    wait_for(lambda: "no model" not in _asked(both, "only-there"), "the second namespace's model is known", 10)
    assert "no model" in _asked(both, "nowhere")


def _second(platform: Platform) -> str:
    return f"{platform.ns}-second"


def _look_into(platform: Platform, namespaces: str) -> None:
    platform.cluster.kubectl("set", "env", "statefulset/bridge", f"KELP_NAMESPACES={namespaces}", ns=platform.ns)
    platform.cluster.kubectl("rollout", "status", "statefulset/bridge", "--timeout=120s", ns=platform.ns, timeout_s=150)


def _asked(platform: Platform, model: str) -> str:
    """What a run of a job that is not there is told: of a model that is known only that the job is not."""
    with platform.api() as api:
        answer = api.post("/api/v1/runs", json={"job": 99999999, "model": model})
    assert answer.status_code == 404, answer.text
    return str(answer.text)


def _health(platform: Platform) -> Any:
    import httpx

    with Forward(platform.cluster, "pod/bridge-0", 8001, platform.ns) as forward:
        return httpx.get(f"{forward.url}/health/ready", timeout=10, trust_env=False).json()


def _revision(platform: Platform, model: str, which: str = "latestCreatedRevision") -> str:
    found = platform.cluster.get("isvc", model, platform.ns)
    return str(found["status"]["components"]["predictor"][which])


def _reader(bridge_ns: str) -> list[Object]:
    """What the docs ask for in every namespace of models."""
    rules = [
        {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "bridge"}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "bridge"},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "bridge"},
            "subjects": [{"kind": "ServiceAccount", "name": "bridge", "namespace": bridge_ns}],
        },
    ]


def _model(name: str, like: Object) -> list[Object]:
    """An InferenceService by hand, which nobody calls."""
    card = yaml.safe_dump(cards.card(name))
    container = {"name": "kserve-container", "image": "kn.local/none:1", "ports": [{"containerPort": 8080}]}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"kelp-card-{name}"},
            "data": {"card.yaml": card},
        },
        {
            "apiVersion": like["apiVersion"],
            "kind": "InferenceService",
            "metadata": {
                "name": name,
                "labels": {"networking.knative.dev/visibility": "cluster-local"},
                "annotations": {
                    "kelp.dev/card": f"kelp-card-{name}",
                    "autoscaling.knative.dev/initial-scale": "0",
                },
            },
            "spec": {"predictor": {"minReplicas": 0, "containers": [container]}},
        },
    ]
