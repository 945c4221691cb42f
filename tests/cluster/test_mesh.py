"""In the mesh: strict mTLS between CVAT, bridge, gateway and models.

Istio's sidecars prepare their pod's network with rights that "restricted" forbids, so this namespace does not enforce
it; with Istio's CNI plugin or its ambient mode both hold at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.support import cards, toolbox
from tests.cluster.support.annotating import job
from tests.cluster.support.cluster import Cluster
from tests.cluster.support.forward import Forward
from tests.cluster.support.images import Images
from tests.cluster.support.platform import Platform
from tests.cluster.support.volumes import Volumes
from tests.support.cvat import Cvat, CvatServer

MODEL = "reef"
LABELS = {"istio-injection": "enabled"}
GET = """
import sys, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print("refused", getattr(error, "reason", error))
"""


@pytest.fixture(scope="module")
def knative_in_mesh(cluster: Cluster) -> Iterator[None]:
    """Knative's activator and autoscaler, who call models' pods, get sidecars while these tests run, as they need."""
    outside = [name for name in ("activator", "autoscaler") if not _is_in_mesh(cluster, name)]
    for name in outside:
        _inject(cluster, name, "true")
    yield
    for name in outside:
        _inject(cluster, name, None)


def _is_in_mesh(cluster: Cluster, deployment: str) -> bool:
    pods = cluster.pods("knative-serving", f"app={deployment}")
    return bool(pods) and all("istio-proxy" in _containers(pod) for pod in pods)


def _inject(cluster: Cluster, deployment: str, value: str | None) -> None:
    change = {"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": value}}}}}
    cluster.patch("deployment", deployment, "knative-serving", change)
    cluster.kubectl(
        "rollout", "status", f"deployment/{deployment}", "--timeout=180s", ns="knative-serving", timeout_s=200
    )


@pytest.fixture(scope="module")
def cvat_in_mesh(cluster: Cluster, namespace: str, built: Images) -> Iterator[str]:
    """A stand-in for CVAT that has a sidecar too, in a namespace of its own."""
    name = f"{namespace}-cvat"
    cluster.namespace(name, LABELS)
    cluster.apply(*toolbox.cvat_objects(built), ns=name)
    cluster.wait_ready("pod", "cvat", name)
    yield name
    cluster.remove_namespace(name)


@pytest.fixture(scope="module")
def meshed(
    cluster: Cluster,
    namespace: str,
    built: Images,
    volumes: Volumes,
    cvat_in_mesh: str,
    knative_in_mesh: None,
    folder: Path,
) -> Platform:
    platform = Platform(cluster, namespace, built, volumes, cvat_in_mesh)
    platform.secrets()
    platform.install(folder, network={"istio": {"mesh": True}})
    platform.deploy(str(cards.write(folder / "cards", cards.card(MODEL, scale={"retention": 120}))), "--no-wake")
    return platform


@pytest.fixture
def cvat_there(cluster: Cluster, cvat_in_mesh: str) -> Iterator[Cvat]:
    with Forward(cluster, "pod/cvat", toolbox.CVAT_PORT, cvat_in_mesh) as forward:
        client = Cvat(CvatServer(forward.url))
        yield client
        client.close()


def test_a_webhook_annotates_under_strict_mtls(meshed: Platform, cvat_there: Cvat, cluster: Cluster) -> None:
    """CVAT → bridge → gateway → model, each with a sidecar and strict mTLS: the job is annotated."""
    for name in ("bridge", "kelp-models"):
        assert cluster.get("peerauthentication", name, meshed.ns)["spec"]["mtls"]["mode"] == "STRICT"
    (bridge,) = [pod for pod in cluster.pods(meshed.ns) if pod["metadata"]["name"] == "bridge-0"]
    assert "istio-proxy" in _containers(bridge)
    with job(cvat_there, meshed, MODEL, frames=3) as one:
        one.start()
        run = meshed.wait_run(one.id)
        assert run["state"] == "completed", run
        assert one.shapes().total() == run["shapes"]["written"] > 0
    (model,) = meshed.model_pods(MODEL)
    assert "istio-proxy" in _containers(model)


def test_plain_callers_are_refused(meshed: Platform, cluster: Cluster, beside: str) -> None:
    """Whoever has no certificate of the mesh gets no connection, to the bridge as to a model."""
    bridge = f"http://bridge.{meshed.ns}:8000/health/live"
    assert cluster.exec("toolbox", beside, "python", "-c", GET, bridge).startswith("refused")
    (model,) = meshed.model_pods(MODEL)
    address = f"http://{model['status']['podIP']}:8012/v2/health/live"
    assert cluster.exec("toolbox", beside, "python", "-c", GET, address).startswith("refused")


def test_members_are_let_in_by_name(meshed: Platform, cvat_in_mesh: str, cluster: Cluster) -> None:
    """CVAT's namespace may call the bridge; a member of the mesh that nobody named may not call a model's pod."""
    bridge = f"http://bridge.{meshed.ns}:8000/health/live"
    assert cluster.exec("cvat", cvat_in_mesh, "python", "-c", GET, bridge, container="main").strip() == "200"
    (model,) = meshed.model_pods(MODEL)
    address = f"http://{model['status']['podIP']}:8012/v2/health/live"
    # 403 is the mesh's word; 503 its sidecar's, where the network's policies let nothing through at all.
    assert cluster.exec("cvat", cvat_in_mesh, "python", "-c", GET, address, container="main").strip() in {"403", "503"}


def _containers(pod: dict[str, object]) -> set[str]:
    spec = pod["spec"]
    assert isinstance(spec, dict)
    return {c["name"] for kind in ("containers", "initContainers") for c in spec.get(kind, [])}
