"""Kelp on a cluster, as a platform engineer installs it and as an annotator and an ML engineer then use it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster.support.cluster import Cluster, Object, wait_for
from tests.cluster.support.forward import Forward
from tests.cluster.support.images import Images
from tests.cluster.support.shell import ROOT
from tests.cluster.support.toolbox import CVAT_PORT
from tests.cluster.support.volumes import Volumes
from tests.support.bridge import FINISHED
from tests.support.cvat import PASSWORD, SECRET, USER

TOKEN = "api-token-for-tests"
RELEASE = "kelp"
BRIDGE = "app.kubernetes.io/component=bridge"
_INSTALL_S = 300.0


class Platform:
    """The release in namespace `ns`, and its bridge's API."""

    def __init__(self, cluster: Cluster, ns: str, images: Images, volumes: Volumes, beside: str) -> None:
        """`beside`: the namespace of the stand-in for CVAT."""
        self.cluster = cluster
        self.ns = ns
        self.images = images
        self.volumes = volumes
        self.beside = beside

    # Installing

    def secrets(self, prefix: str = "", **more: Mapping[str, str]) -> None:
        """The Secrets that the values name, with `prefix` before their names; `more`: name → its keys."""
        wanted = {
            "cvat": {"user": USER, "password": PASSWORD},
            "webhook": {"secrets": f"another-secret,{SECRET}"},
            "api": {"token": TOKEN},
            **more,
        }
        for name, keys in wanted.items():
            meta = {"name": prefix + name}
            self.cluster.apply(
                {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": dict(keys)}, ns=self.ns
            )

    def values(self, **changes: Any) -> dict[str, Any]:
        """Values of the chart for this cluster; `changes` are merged into them."""
        found: dict[str, Any] = {
            "images": {"prefix": self.images.prefix, "tag": self.images.tag},
            "bridge": {
                "cvat": {"url": f"http://cvat.{self.beside}:{CVAT_PORT}", "existingSecret": "cvat"},
                "webhook": {"existingSecret": "webhook"},
                "api": {"existingSecret": "api"},
                "persistence": {"size": "1Gi", "storageClass": self.volumes.storage_class},
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
                "logLevel": "debug",
            },
            # A namespace's own, so that two platforms, or two tests, can live on one cluster.
            "runtimes": {"scope": "Namespace"},
            "render": {"gpu": False},
            "storage": {"pvc": {"size": "1Gi", "storageClass": self.volumes.storage_class}},
            "network": {
                "cvat": {"namespaceSelector": {"kubernetes.io/metadata.name": self.beside}},
            },
        }
        return _merged(found, changes)

    def helm(self, *arguments: str, timeout_s: float = _INSTALL_S, **more: Any) -> str:
        return self.cluster.shell.run("helm", "-n", self.ns, *arguments, timeout_s=timeout_s, **more)

    def install(self, folder: Path, **changes: Any) -> None:
        """`helm upgrade --install` of the checkout's chart; its values are left in `folder`."""
        file = folder / f"values-{self.ns}.yaml"
        file.write_text(yaml.safe_dump(self.values(**changes), sort_keys=False), encoding="utf-8")
        try:
            self.helm(
                "upgrade", "--install", RELEASE, str(ROOT / "charts" / "kelp"), "-f", str(file), "--wait",
                "--timeout", f"{_INSTALL_S:g}s",
            )  # fmt: skip
        except AssertionError as failed:
            raise AssertionError(f"{failed}\n{self.cluster.explain(self.ns)}\n{self.bridge_logs()}") from None

    def uninstall(self) -> None:
        self.helm("uninstall", RELEASE, "--ignore-not-found", "--wait", "--timeout", "120s")

    # Models

    def kelp(self, *arguments: str, timeout_s: float = 240.0, check: bool = True) -> str:
        """The command line of this checkout, on this platform's namespace."""
        return self.cluster.shell.run(
            sys.executable, "-m", "kelp.cli", *arguments, "-n", self.ns, timeout_s=timeout_s, check=check
        )

    def deploy(self, *arguments: str, timeout_s: float = 300.0) -> str:
        return self.kelp("deploy", *arguments, "--platform", "kube", timeout_s=timeout_s)

    def model_pods(self, name: str) -> list[Object]:
        """Those of the model that are not on their way out."""
        found = self.cluster.pods(self.ns, f"serving.kserve.io/inferenceservice={name}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def wait_asleep(self, name: str, deadline_s: float = 150.0) -> None:
        """Until the model has no pod at all."""
        selector = f"serving.kserve.io/inferenceservice={name}"
        wait_for(lambda: not self.cluster.pods(self.ns, selector), f"{name} asleep", deadline_s)

    def host(self, name: str) -> str:
        """The model's name inside the cluster."""
        return f"{name}.{self.ns}.svc.cluster.local"

    # The bridge

    @property
    def webhook_url(self) -> str:
        """The detection webhook as CVAT calls it."""
        return f"http://bridge.{self.ns}:8000/detect-model-webhook"

    @contextmanager
    def api(self, pod: str = "bridge-0") -> Any:
        """An HTTP client of the API of one bridge, with the token."""
        with (
            Forward(self.cluster, f"pod/{pod}", 8000, self.ns) as forward,
            httpx.Client(
                base_url=forward.url,
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=30,
                trust_env=False,
            ) as client,
        ):
            yield client

    def wait_run(self, job: int, *, pod: str = "bridge-0", deadline_s: float = 180.0, count: int = 1) -> Any:
        """The newest run of a job once there are `count` and all are finished; forwarded anew where the way breaks."""

        def read() -> Any:
            try:
                with self.api(pod) as api:
                    for _ in range(40):
                        runs = api.get("/api/v1/runs", params={"job": job}).raise_for_status().json()["runs"]
                        if len(runs) >= count and all(run["state"] in FINISHED for run in runs):
                            return runs
                        wait_a_little()
            except (httpx.HTTPError, AssertionError):
                return None  # its pod is being replaced
            return None

        try:
            runs = wait_for(read, f"{count} runs of job {job} finished", deadline_s, 0.5)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.bridge_logs(pod)}\n{self.cluster.explain(self.ns)}") from None
        assert len(runs) == count, runs
        return runs[0]

    def bridge_logs(self, pod: str = "bridge-0") -> str:
        return self.cluster.logs(pod, self.ns, "", "--tail", "60")


def wait_a_little() -> None:
    """Between two questions to the API."""
    import time

    time.sleep(0.5)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = _merged(found[key], value) if both else value
    return found
