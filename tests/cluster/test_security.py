"""What the platform's pods may not do, and who may not reach them, on the running cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.support import cards, toolbox
from tests.cluster.support.cluster import RESTRICTED, Cluster, wait_for
from tests.cluster.support.images import Images
from tests.cluster.support.platform import Platform
from tests.cluster.support.shell import CommandFailed

MODEL = "reef"
STRANGERS_PORT = 9000
REACH = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
    print("reached")
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def running(platform: Platform, folder: Path, cluster: Cluster, built: Images) -> Platform:
    """A platform with a model that stays awake, and a stranger beside it in its own namespace."""
    platform.install(folder)
    awake = cards.card(MODEL, scale={"min": 1, "concurrency": 8})
    platform.deploy(str(cards.write(folder / "cards", awake)))
    listens = ["python", "-m", "http.server", str(STRANGERS_PORT)]
    cluster.apply(toolbox.pod("stranger", built.of("kelp-test"), command=listens), ns=platform.ns)
    cluster.wait_ready("pod", "stranger", platform.ns)
    return platform


def test_restricted_is_enforced(running: Platform, cluster: Cluster) -> None:
    """The namespace refuses a pod that "restricted" forbids, and all of the platform's pods run in it."""
    labels = cluster.get("namespace", running.ns)["metadata"]["labels"]
    assert RESTRICTED.items() <= labels.items()
    with pytest.raises(CommandFailed, match='violates PodSecurity "restricted'):
        cluster.kubectl(
            "run", "root", "--image=any", "--dry-run=server", "--privileged", "--restart=Never", ns=running.ns
        )
    pods = cluster.pods(running.ns, "app.kubernetes.io/part-of=kelp")
    running_now = [pod for pod in pods if pod["status"]["phase"] == "Running"]
    components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in running_now}
    assert {"bridge", "model"} <= components
    for pod in running_now:
        for container in pod["spec"]["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, container["name"]
            assert security["capabilities"]["drop"] == ["ALL"], container["name"]


def test_a_model_has_no_token_and_no_writable_root(running: Platform, cluster: Cluster) -> None:
    """In a model's container there is no service account's token, and nothing but /tmp can be written."""
    (pod,) = running.model_pods(MODEL)
    look = (
        "import os\n"
        "token = os.path.exists('/var/run/secrets/kubernetes.io/serviceaccount/token')\n"
        "try:\n open('/opt/kelp/x', 'w'); root = True\nexcept OSError:\n root = False\n"
        "open('/tmp/x', 'w')\n"
        "print(token, root, os.getuid())"
    )
    name = pod["metadata"]["name"]
    said = cluster.exec(name, running.ns, "python", "-c", look, container="kserve-container")
    assert said.split() == ["False", "False", "65532"]


@pytest.fixture(scope="module")
def enforced(running: Platform, cluster: Cluster, beside: str) -> None:
    """Whether this cluster's network enforces NetworkPolicies at all; where it does not, these tests are not run."""
    closed = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "probe"},
        "spec": {"podSelector": {"matchLabels": {"app": "postgres"}}, "policyTypes": ["Ingress"]},
    }
    address = _ip(cluster, beside, "postgres")
    assert _reach(cluster, beside, "toolbox", address, 5432) == "reached"
    cluster.apply(closed, ns=beside)
    try:
        wait_for(lambda: _reach(cluster, beside, "toolbox", address, 5432) != "reached", "the policy holds", 20)
    except AssertionError:
        pytest.skip("this cluster's network does not enforce NetworkPolicies")
    finally:
        cluster.delete("networkpolicy", "probe", beside)
        wait_for(lambda: _reach(cluster, beside, "toolbox", address, 5432) == "reached", "the policy is gone", 30)


@pytest.mark.usefixtures("enforced")
def test_who_reaches_the_bridge(running: Platform, cluster: Cluster, beside: str) -> None:
    """CVAT's namespace reaches the webhooks; a stranger in the platform's own namespace does not."""
    bridge = _ip(cluster, running.ns, "bridge-0")
    assert _reach(cluster, beside, "cvat", bridge, 8000) == "reached"
    assert _reach(cluster, beside, "cvat", bridge, 8001) == "TimeoutError"
    assert _reach(cluster, running.ns, "stranger", bridge, 8000) == "TimeoutError"


@pytest.mark.usefixtures("enforced")
def test_who_reaches_a_model(running: Platform, cluster: Cluster, beside: str) -> None:
    """The gateway and the bridge reach a model's pod; strangers, near and far, do not, on any of its ports."""
    (pod,) = running.model_pods(MODEL)
    address = pod["status"]["podIP"]
    assert _reach(cluster, running.ns, "bridge-0", address, 8012) == "reached"
    for port in (8012, 8080, 8081):
        assert _reach(cluster, running.ns, "stranger", address, port) == "TimeoutError", port
        assert _reach(cluster, beside, "toolbox", address, port) == "TimeoutError", port


@pytest.mark.usefixtures("enforced")
def test_what_they_reach_themselves(running: Platform, cluster: Cluster, beside: str) -> None:
    """A model reaches nobody; the bridge reaches CVAT, and no stranger."""
    (pod,) = running.model_pods(MODEL)
    cvat, stranger = _ip(cluster, beside, "cvat"), _ip(cluster, running.ns, "stranger")
    wait_for(lambda: _reach(cluster, beside, "toolbox", stranger, STRANGERS_PORT) == "reached", "the stranger listens")
    model = pod["metadata"]["name"]
    assert _reach(cluster, running.ns, model, cvat, 8080, "kserve-container") == "TimeoutError"
    assert _reach(cluster, running.ns, model, stranger, STRANGERS_PORT, "kserve-container") == "TimeoutError"
    assert _reach(cluster, running.ns, "bridge-0", cvat, 8080) == "reached"
    assert _reach(cluster, running.ns, "bridge-0", stranger, STRANGERS_PORT) == "TimeoutError"


def _ip(cluster: Cluster, ns: str, pod: str) -> str:
    return str(cluster.get("pod", pod, ns)["status"]["podIP"])


def _reach(cluster: Cluster, ns: str, pod: str, address: str, port: int, container: str = "") -> str:
    return cluster.exec(pod, ns, "python", "-c", REACH, address, str(port), container=container).strip()
