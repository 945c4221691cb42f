"""Pods that tests need beside the platform: CVAT's stand-in, a place to run scripts in, PostgreSQL. All restricted."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.support.cluster import Cluster, Object
from tests.cluster.support.images import Images
from tests.support.cvat import PASSWORD, USER

CVAT_PORT = 8080
POSTGRES_PASSWORD = "only-for-this-test"
SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SMALL = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}


def pod(
    name: str, image: str, *, command: list[str] | None = None, labels: dict[str, str] | None = None, **more: Any
) -> Object:
    """A pod of one container that Pod Security's "restricted" admits, with a writable /tmp; `more` goes into it."""
    volumes = more.pop("volumes", [])
    mounts = [{"name": "tmp", "mountPath": "/tmp"}, *more.pop("volumeMounts", [])]
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": SECURITY,
        "resources": SMALL,
        "volumeMounts": mounts,
        **({"command": command} if command else {}),
        **more,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"fsGroup": 65532},
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes],
        },
    }


def service(name: str, port: int) -> Object:
    """Of the pod that has the same name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"name": "main", "port": port, "targetPort": port}]},
    }


def cvat_objects(images: Images, *, mesh: bool = False) -> list[Object]:
    """The stand-in as pod and service `cvat`."""
    command = ["python", "-m", "demo.cvat", "--host", "0.0.0.0", "--port", str(CVAT_PORT)]
    command += ["--user", f"{USER}:{PASSWORD}", "--anonymous-per-minute", "0"]
    probe = {"httpGet": {"path": "/api/server/about", "port": CVAT_PORT}, "periodSeconds": 1}
    return [
        pod("cvat", images.of("kelp-test"), command=command, readinessProbe=probe, labels=_meshed(mesh)),
        service("cvat", CVAT_PORT),
    ]


def toolbox_objects(images: Images, *, name: str = "toolbox", mesh: bool = False) -> list[Object]:
    """A pod that waits for scripts."""
    return [pod(name, images.of("kelp-test"), command=["sleep", "86400"], labels=_meshed(mesh))]


def postgres_objects(images: Images) -> list[Object]:
    """PostgreSQL as pod and service `postgres`; its data goes with the pod."""
    ask = f"PGPASSWORD={POSTGRES_PASSWORD} psql -h 127.0.0.1 -U kelp -c 'select 1' kelp"
    return [
        pod(
            "postgres",
            images.of("kelp-postgres"),
            env=[{"name": "POSTGRES_PASSWORD", "value": POSTGRES_PASSWORD}],
            readinessProbe={"exec": {"command": ["bash", "-c", ask]}, "periodSeconds": 1, "timeoutSeconds": 5},
            volumes=[{"name": "data", "emptyDir": {}}],
            volumeMounts=[{"name": "data", "mountPath": "/data"}],
        ),
        service("postgres", 5432),
    ]


def _meshed(mesh: bool) -> dict[str, str]:
    return {"sidecar.istio.io/inject": "true"} if mesh else {}


def run_inside(
    cluster: Cluster, ns: str, script: str, *arguments: str, pod_name: str = "toolbox", timeout_s: float = 120.0
) -> Any:
    """Run `inside/SCRIPT.py` of this machine's checkout in the toolbox; the JSON that it prints last."""
    from tests.cluster.support.shell import ROOT

    source = (ROOT / "tests" / "cluster" / "inside" / f"{script}.py").read_text(encoding="utf-8")
    said = cluster.exec(pod_name, ns, "python", "-", *arguments, stdin=source, timeout_s=timeout_s, container="main")
    return json.loads(said.strip().splitlines()[-1])
