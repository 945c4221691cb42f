"""Tests on a real cluster, by its kubeconfig: `make test-cluster`. Nothing else collects them.

A module has a namespace of its own, under Pod Security "restricted"; the stand-in for CVAT, PostgreSQL and a pod to run
scripts in stand in one beside it, for all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import toolbox
from tests.cluster.support.cluster import RESTRICTED, Cluster
from tests.cluster.support.forward import Forward
from tests.cluster.support.gateway import gateway
from tests.cluster.support.images import Images, images
from tests.cluster.support.platform import Platform
from tests.cluster.support.results import Results, cluster_versions
from tests.cluster.support.shell import CommandFailed, Shell
from tests.cluster.support.volumes import Volumes
from tests.support.cvat import Cvat, CvatServer

HERE = Path(__file__).parent
PREFIX = os.environ.get("KELP_TEST_NAMESPACE", "kelp-test")
"""What the namespaces' names begin with: two runs on one cluster need two."""
LONGEST_S = 900
_RESULTS = pytest.StashKey[Results]()
Run = Callable[..., Any]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """These want a cluster: they are run by those who name them, never along with all others."""
    named = [Path(argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(path.is_relative_to(HERE) for path in named) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(LONGEST_S))


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> Results:
    """What this run leaves behind; figures go into it."""
    made = Results("test-cluster")
    request.config.stash[_RESULTS] = made
    return made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report: pytest.TestReport = yield
    results = item.config.stash.get(_RESULTS, None)
    ended = report.when == "call" or (report.when == "setup" and not report.passed)
    if results is not None and ended:
        proves = " ".join((getattr(item, "function", item).__doc__ or item.name).split())
        why = ""
        if not report.passed:
            why = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else report.longreprtext[-1500:]
        outcome = {"passed": "passed", "failed": "failed", "skipped": "not run"}[report.outcome]
        results.outcome(item.nodeid.removeprefix("tests/cluster/"), proves, outcome, call.duration, why)
    return report


@pytest.fixture(scope="session")
def shell(results: Results) -> Iterator[Shell]:
    made = Shell(results.log)
    yield made
    made.close()


@pytest.fixture(scope="session")
def cluster(results: Results, shell: Shell) -> Cluster:
    """The cluster of KUBECONFIG. Without one the tests fail, and say what is missing."""
    if not os.environ.get("KUBECONFIG"):
        pytest.exit("these tests need a cluster: KUBECONFIG=… make test-cluster", returncode=1)
    made = Cluster(shell)
    try:
        made.kubectl("get", "--raw", "/readyz", timeout_s=20)
        results.versions = cluster_versions(made)
    except (CommandFailed, OSError) as failed:
        pytest.exit(f"the cluster of KUBECONFIG={os.environ['KUBECONFIG']} does not answer: {failed}", returncode=1)
    return made


@pytest.fixture(scope="session")
def built(cluster: Cluster, shell: Shell) -> Images:
    """The images of this checkout, known to the cluster."""
    return images(shell)


@pytest.fixture(scope="session")
def door(cluster: Cluster) -> Iterator[str]:
    """The ingress gateway's address."""
    with gateway(cluster) as url:
        yield url


@pytest.fixture(scope="session")
def beside(cluster: Cluster, built: Images) -> Iterator[str]:
    """The namespace of the stand-in for CVAT, PostgreSQL and the toolbox."""
    name = f"{PREFIX}-beside"
    cluster.namespace(name, RESTRICTED)
    objects = [
        *toolbox.cvat_objects(built),
        *toolbox.toolbox_objects(built),
        *toolbox.postgres_objects(built),
    ]
    cluster.apply(*objects, ns=name)
    for pod in ("cvat", "toolbox", "postgres"):
        cluster.wait_ready("pod", pod, name)
    yield name
    cluster.remove_namespace(name)


@pytest.fixture(scope="session")
def inside(cluster: Cluster, beside: str) -> Run:
    """Runs a script of `inside/` in the toolbox; gives the JSON that it prints."""

    def run(script: str, *arguments: Any, timeout_s: float = 120.0) -> Any:
        return toolbox.run_inside(cluster, beside, script, *map(str, arguments), timeout_s=timeout_s)

    return run


@pytest.fixture(scope="session")
def cvat(cluster: Cluster, beside: str) -> Iterator[Cvat]:
    """CVAT as its users see it."""
    with Forward(cluster, "pod/cvat", toolbox.CVAT_PORT, beside) as forward:
        client = Cvat(CvatServer(forward.url))
        yield client
        client.close()


@pytest.fixture(scope="module")
def volumes(cluster: Cluster) -> Iterator[Volumes]:
    made = Volumes(cluster)
    yield made
    made.close()


@pytest.fixture(scope="module")
def namespace(request: pytest.FixtureRequest, cluster: Cluster, volumes: Volumes) -> Iterator[str]:
    """A namespace of the module's own, under "restricted" unless the module's LABELS say otherwise."""
    module = request.module.__name__.rpartition(".")[2].removeprefix("test_")
    name = f"{PREFIX}-{module.replace('_', '-')}"
    cluster.namespace(name, getattr(request.module, "LABELS", RESTRICTED))
    volumes.add(name, getattr(request.module, "VOLUMES", 2))
    yield name
    cluster.remove_namespace(name)


@pytest.fixture(scope="module")
def platform(cluster: Cluster, namespace: str, built: Images, volumes: Volumes, beside: str) -> Platform:
    """Not yet installed; its Secrets are there."""
    made = Platform(cluster, namespace, built, volumes, beside)
    made.secrets()
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")
