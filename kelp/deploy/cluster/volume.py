"""Weights into a PersistentVolumeClaim, through a short-lived pod that has it mounted."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kelp.deploy.cluster import receiver
from kelp.deploy.cluster.api import Cluster, Object
from kelp.deploy.cluster.bundle import Bundle, OnBytes
from kelp.deploy.cluster.platform import Platform
from kelp.deploy.cluster.pods import why_not_running
from kelp.errors import Forbidden, InvalidRequest, KelpError, NotFound, NotReady, TooLate, Unreachable
from kelp.weights import WeightsError
from kelp.weights.manifest import MANIFEST

_MOUNT = "/volume"
_CONTAINER = "upload"
_USER = 65532
_CHUNK = 256 << 10
_START_S = 180.0
_ANSWER_S = 300.0
_TRIES = 5
# The pod ends by itself: after so long, and when nothing has been sent for a while.
_LIFE_S = 24 * 3600
_IDLE_S = 120
_LABELS = {
    "app.kubernetes.io/name": "kelp-upload", "app.kubernetes.io/component": "upload",
    "app.kubernetes.io/part-of": "kelp", "app.kubernetes.io/managed-by": "kelp",
}  # fmt: skip


class Volume:
    """`base`: `pvc://claim/folder`."""

    def __init__(self, cluster: Cluster, base: str, platform: Platform) -> None:
        parts = urlsplit(base)
        self._cluster = cluster
        self._claim = parts.netloc
        self._folder = parts.path.strip("/")
        self._platform = platform
        if not self._claim:
            raise WeightsError(f"{base}: expected pvc://claim/folder")
        if not platform.image:
            raise InvalidRequest(
                "the platform names no image for the pod that writes into a volume (kelp-platform: image)"
            )
        if cluster.find("v1", "PersistentVolumeClaim", self._claim) is None:
            raise NotFound(f"{base}: namespace {cluster.namespace} has no PersistentVolumeClaim '{self._claim}'")

    def upload(self, bundle: Bundle, on_bytes: OnBytes) -> None:
        """Send what is missing, resuming what broke off; the manifest last, so that it tells a whole folder."""
        folder = "/".join(part for part in (_MOUNT, self._folder, bundle.sha256) if part)
        with self._pod() as pod:
            names = [file.name for file in bundle.files]
            state = json.loads(_run(self._cluster, pod, "state", folder, MANIFEST, *names))
            for file in bundle.files:
                if state[file.name][0] == file.sha256:
                    on_bytes(file.size)
                else:
                    self._send_file(pod, folder, file.name, file.path, file.size, file.sha256, on_bytes)
            if state[MANIFEST][0] != bundle.sha256:
                size = str(len(bundle.manifest))
                _run(
                    self._cluster, pod, "receive", folder, MANIFEST, bundle.sha256, "0", size, content=[bundle.manifest]
                )

    def _send_file(
        self, pod: str, folder: str, name: str, path: Path, size: int, sha256: str, on_bytes: OnBytes
    ) -> None:
        told = 0
        for attempt in range(_TRIES):
            offset = min(size, json.loads(_run(self._cluster, pod, "state", folder, name))[name][1])
            on_bytes(offset - told)
            told = offset

            def content(start: int = offset) -> Iterator[bytes]:
                nonlocal told
                with path.open("rb") as file:
                    file.seek(start)
                    while chunk := file.read(_CHUNK):
                        yield chunk
                        told += len(chunk)
                        on_bytes(len(chunk))

            try:
                _run(self._cluster, pod, "receive", folder, name, sha256, str(offset), str(size), content=content())
                return
            except Unreachable:
                if attempt == _TRIES - 1:
                    raise
                time.sleep(1.0 + attempt)

    @contextlib.contextmanager
    def _pod(self) -> Iterator[str]:
        self._clear()
        body = self._described(f"kelp-upload-{secrets.token_hex(4)}")
        name = self._cluster.create(body)["metadata"]["name"]
        try:
            self._wait(name)
            yield name
        finally:
            with contextlib.suppress(KelpError):  # it ends by itself
                self._cluster.delete("v1", "Pod", name, grace_s=0)

    def _clear(self) -> None:
        """Take away what is left of pods that ended by themselves."""
        labels = ",".join(f"{key}={value}" for key, value in _LABELS.items())
        with contextlib.suppress(Forbidden):
            for pod in self._cluster.find_all("v1", "Pod", labels=labels):
                if (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
                    self._cluster.delete("v1", "Pod", pod["metadata"]["name"])

    def _wait(self, name: str) -> None:
        ends = time.monotonic() + _START_S
        while True:
            pod = self._cluster.get("v1", "Pod", name)
            phase = pod["status"].get("phase")
            if phase == "Running":
                return
            why = why_not_running(pod)
            if phase in {"Failed", "Succeeded"} or (why and why.final):
                raise NotReady(f"the pod that writes into volume '{self._claim}' does not start: {why or phase}")
            if time.monotonic() > ends:
                raise TooLate(f"the pod that writes into volume '{self._claim}' did not start: {why or phase}")
            time.sleep(0.5)

    def _described(self, name: str) -> Object:
        """Fit for namespaces that enforce Pod Security `restricted`."""
        pod: Object = {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": _LIFE_S,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "imagePullSecrets": [{"name": secret} for secret in self._platform.pull_secrets],
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER,
                "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": _CONTAINER,
                "image": self._platform.image,
                "imagePullPolicy": self._platform.pull_policy,
                "command": ["python", "-c", _program(), "wait", str(_IDLE_S)],
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "weights", "mountPath": _MOUNT}],
            }],
            "volumes": [{"name": "weights", "persistentVolumeClaim": {"claimName": self._claim}}],
        }  # fmt: skip
        # A sidecar would keep it from ending, and it needs no network.
        meta: Object = {"name": name, "labels": {**_LABELS, "sidecar.istio.io/inject": "false"}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod}


def _run(cluster: Cluster, pod: str, *arguments: str, content: Any = None) -> str:
    """Run the receiver in the pod, `content` (bytes, in pieces) as its standard input; gives what it prints.

    WeightsError with what it said where it failed, Unreachable where the connection broke.
    """
    from kelp.deploy.cluster.execution import execute

    code, out, error = execute(
        cluster, pod, _CONTAINER, ["python", "-c", _program(), *arguments], content=content, answer_s=_ANSWER_S
    )
    if code is None or "it broke off" in error:
        raise Unreachable(f"the connection to the pod that writes into the volume broke: {error.strip()[-300:]}")
    if code:
        said = error.strip().splitlines()
        raise WeightsError(f"the volume: {said[-1] if said else f'exit code {code}'}")
    return out


def _program() -> str:
    return Path(receiver.__file__).read_text(encoding="utf-8")
