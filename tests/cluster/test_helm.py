"""From nothing by helm: installed, tested, asleep, awake for CVAT's webhook, asleep again, uninstalled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import cards
from tests.cluster.support.annotating import job
from tests.cluster.support.cluster import Cluster, wait_for
from tests.cluster.support.platform import BRIDGE, Platform
from tests.cluster.support.results import Results
from tests.support.cvat import Cvat

MODEL = "reef"


@pytest.fixture(scope="module")
def before(platform: Platform, cluster: Cluster) -> set[str]:
    """What the namespace holds that is none of the platform's."""
    return cluster.everything(platform.ns)


@pytest.fixture(scope="module")
def installed(platform: Platform, before: set[str], folder: Path) -> Platform:
    platform.install(folder)
    platform.deploy(str(cards.write(folder / "cards", cards.card(MODEL))), "--no-wake")
    return platform


def test_an_install_brings_the_bridge_and_no_pod_of_a_model(installed: Platform, cluster: Cluster) -> None:
    """Installed from nothing by `helm install`: the bridge is ready, and a model that is Ready holds no pod."""
    (bridge,) = cluster.pods(installed.ns, BRIDGE)
    assert bridge["spec"]["containers"][0]["image"] == installed.images.of("kelp-bridge")
    cluster.wait_ready("isvc", MODEL, installed.ns)
    assert installed.model_pods(MODEL) == []


def test_a_webhook_annotates_while_the_model_sleeps(installed: Platform, cvat: Cvat, results: Results) -> None:
    """A job started in CVAT is annotated although the model had no pod; nothing is lost on the way."""
    installed.wait_asleep(MODEL)
    with job(cvat, installed, MODEL, frames=6) as one:
        one.start()
        run = installed.wait_run(one.id)
        assert run["state"] == "completed", run
        shapes = one.shapes()
        assert shapes.total() == run["shapes"]["written"] > 0
        assert {frame for frame, *_ in shapes} == set(range(6))
        codes = [delivery["status_code"] for delivery in cvat.deliveries(one.webhook)]
        assert 202 in codes
        assert all(200 <= code < 300 for code in codes), codes
        if (cold := run.get("cold_start_s")) is not None:
            results.figure("webhook at zero: cold start told by the run", cold, "s")
        results.figure("webhook at zero: shapes written", run["shapes"]["written"], "shapes")


def test_listing_wakes_no_model(installed: Platform) -> None:
    """The bridge and `kelp get models` know the model, and it has no pod before and after."""
    installed.wait_asleep(MODEL)
    listed = installed.kelp("get", "models", "--platform", "kube", "-o", "json")
    assert MODEL in listed
    assert installed.model_pods(MODEL) == []


def test_the_charts_own_test(installed: Platform, folder: Path, cluster: Cluster) -> None:
    """`helm test`: one signed ping, and one real inference of a model that sleeps."""
    installed.install(folder, test={"model": MODEL})
    assert installed.helm("test", "kelp").count("Succeeded") == 2


def test_a_model_falls_asleep(installed: Platform, inside: Any, results: Results) -> None:
    """After its retention without a request, the model's last pod is gone."""
    inside("v2", "REST", installed.host(MODEL), MODEL, 320)
    assert installed.model_pods(MODEL)
    installed.wait_asleep(MODEL)


def test_uninstall_leaves_only_what_is_marked_to_be_kept(
    installed: Platform, before: set[str], cluster: Cluster
) -> None:
    """After the model's removal and `helm uninstall` only the two claims that are to be kept are left."""
    installed.kelp("delete", MODEL, "--platform", "kube")
    installed.uninstall()
    # Its last pod drains for a moment longer than helm waits.
    wait_for(lambda: not cluster.pods(installed.ns), "the platform's pods gone", 60)
    left = cluster.everything(installed.ns) - before
    assert left == {"persistentvolumeclaim/data-bridge-0", "persistentvolumeclaim/kelp-weights"}
    for kind in ("clusterservingruntime", "clusterrole", "clusterrolebinding"):
        clusterwide = cluster.get(kind, selector="app.kubernetes.io/part-of=kelp")
        notes = [found["metadata"].get("annotations", {}) for found in clusterwide]
        assert installed.ns not in {note.get("meta.helm.sh/release-namespace") for note in notes}
