"""From nothing by `kubectl apply -k`: what environments/local has, with this cluster's images, volumes and CVAT."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelp import __version__
from tests.cluster.support import cards
from tests.cluster.support.annotating import job
from tests.cluster.support.cluster import RESTRICTED, Cluster, ready
from tests.cluster.support.images import Images
from tests.cluster.support.platform import Platform
from tests.cluster.support.shell import ROOT
from tests.cluster.support.toolbox import CVAT_PORT
from tests.cluster.support.volumes import Volumes
from tests.support.cvat import Cvat

NAMESPACE = "kelp"  # the manifests' own
MINE = "kelp.dev/test"
MODEL = "pth-yolo-coralsegv4"


@pytest.fixture(scope="module")
def overlay(cluster: Cluster, folder: Path, built: Images, volumes: Volumes, beside: str) -> Path:
    """environments/local, changed as somebody changes it who keeps an environment of his own."""
    images = [
        {"name": name, "newName": built.prefix + name, "newTag": built.tag}
        for name in ("kelp-bridge", "kelp-yolo-onnx")
    ]
    shipped = _images_of_local()
    for entry in images:
        entry["name"] = shipped[entry["name"]]
    addresses = {
        "KELP_CVAT_URL": f"http://cvat.{beside}:{CVAT_PORT}",
        "KELP_PUBLIC_URL": f"http://bridge.{NAMESPACE}:8000",
    }
    env = [{"name": name, "value": value} for name, value in addresses.items()]
    bridge = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "bridge", "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"containers": [{"name": "bridge", "env": env}]}}},
    }
    patches: list[Any] = [{"patch": yaml.safe_dump(bridge)}, {"patch": yaml.safe_dump(_platform_map(cluster, built))}]
    for kind, path in (
        ("StatefulSet", "/spec/volumeClaimTemplates/0/spec/storageClassName"),
        ("PersistentVolumeClaim", "/spec/storageClassName"),
    ):
        add = [{"op": "add", "path": path, "value": volumes.storage_class}]
        if volumes.storage_class:
            patches.append({"target": {"kind": kind}, "patch": json.dumps(add)})
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(ROOT / "environments" / "local", folder.resolve())],
        "images": images,
        "patches": patches,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization, sort_keys=False), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def applied(cluster: Cluster, overlay: Path, built: Images, volumes: Volumes, beside: str) -> Iterator[Platform]:
    there = cluster.get("namespace", NAMESPACE)
    if there and MINE not in there["metadata"].get("labels", {}):
        pytest.fail(f"namespace {NAMESPACE} of this cluster is in use: the manifests cannot be tried in it")
    cluster.namespace(NAMESPACE, {**RESTRICTED, MINE: "yes"})
    volumes.add(NAMESPACE, 2)
    platform = Platform(cluster, NAMESPACE, built, volumes, beside)
    platform.secrets(prefix="kelp-")
    cluster.kubectl("apply", "-k", str(overlay))
    yield platform
    cluster.kubectl("delete", "-k", str(overlay), "--ignore-not-found", "--wait=false", check=False)
    cluster.remove_namespace(NAMESPACE)


def test_apply_brings_the_bridge_and_a_model_that_sleeps(applied: Platform, cluster: Cluster) -> None:
    """After `kubectl apply -k` alone the bridge is ready, and so is the shipped model, without a pod."""
    cluster.kubectl("rollout", "status", "statefulset/bridge", "--timeout=180s", ns=NAMESPACE, timeout_s=200)
    cluster.wait_ready("isvc", MODEL, NAMESPACE, 180)
    assert ready(cluster.get("pod", "bridge-0", NAMESPACE))
    assert applied.model_pods(MODEL) == []
    assert __version__ in cluster.get("configmap", "kelp-platform", NAMESPACE)["data"]["platform.yaml"]


def test_apply_again_changes_nothing(applied: Platform, overlay: Path, cluster: Cluster) -> None:
    """A second `kubectl apply -k` rolls neither the bridge nor the model."""
    before = _generations(cluster)
    cluster.kubectl("apply", "-k", str(overlay))
    assert _generations(cluster) == before


def test_the_applied_model_annotates(applied: Platform, cvat: Cvat, tmp_path: Path) -> None:
    """Its weights put in place by `kelp deploy`, the model annotates a job that is started in CVAT."""
    shipped = yaml.safe_load((ROOT / "environments" / "local" / "cards.yaml").read_text(encoding="utf-8"))["*"]
    card = cards.card(MODEL, **shipped)
    applied.deploy(str(cards.write(tmp_path, card)))
    with job(cvat, applied, MODEL, frames=2) as one:
        one.start()
        run = applied.wait_run(one.id)
        assert run["state"] == "completed", run
        assert one.shapes().total() == run["shapes"]["written"] > 0


def _generations(cluster: Cluster) -> list[int]:
    return [
        int(cluster.get(kind, name, NAMESPACE)["metadata"]["generation"])
        for kind, name in (("statefulset", "bridge"), ("isvc", MODEL), ("ksvc", f"{MODEL}-predictor"))
    ]


def _platform_map(cluster: Cluster, built: Images) -> dict[str, Any]:
    """What `kelp deploy` is told of the platform, with these images: text, which kustomize does not look into."""
    rendered = cluster.kubectl("kustomize", str(ROOT / "environments" / "local"))
    (found,) = (o for o in yaml.safe_load_all(rendered) if o["metadata"]["name"] == "kelp-platform")
    data = yaml.safe_load(found["data"]["platform.yaml"])
    data["image"] = built.of("kelp-bridge")
    data["render"]["images"] |= {"prefix": built.prefix, "tag": built.tag}
    found["data"]["platform.yaml"] = yaml.safe_dump(data)
    return {key: found[key] for key in ("apiVersion", "kind", "data")} | {
        "metadata": {"name": "kelp-platform", "namespace": NAMESPACE}
    }


def _images_of_local() -> dict[str, str]:
    """The images' names as environments/local has them, without their tags."""
    found = {}
    text = (ROOT / "environments" / "local" / "platform" / "kustomization.yaml").read_text(encoding="utf-8")
    base = (ROOT / "manifests" / "base" / "platform.yaml").read_text(encoding="utf-8")
    for name in ("kelp-bridge", "kelp-yolo-onnx"):
        prefixed = f"kind.local/{name}"
        found[name] = prefixed if prefixed in text else name
        assert name in base
    return found
