"""What a model's pods, or the bridge's, have logged and go on to log."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

from kelp.deploy.cluster.api import Cluster, Object
from kelp.errors import KelpError

MODEL_CONTAINER, BRIDGE_CONTAINER = "kserve-container", "bridge"
_LOOK_S = 1.0


def model_labels(name: str) -> str:
    return f"serving.kserve.io/inferenceservice={name}"


BRIDGE_LABELS = "app.kubernetes.io/name=bridge,app.kubernetes.io/part-of=kelp"


def pods_with(cluster: Cluster, labels: str) -> list[Object]:
    """Those that have begun; the oldest first."""
    pods = [pod for pod in cluster.find_all("v1", "Pod", labels=labels) if (pod.get("status") or {}).get("startTime")]
    return sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))


def held(cluster: Cluster, pods: list[Object], container: str, tail: int) -> Iterator[tuple[str, bytes]]:
    """(pod, line) of what is there, pod after pod, the last `tail` lines of each; KelpError where none can be read."""
    for pod in pods:
        name = pod["metadata"]["name"]
        with cluster.log(name, container=_container(pod, container), tailLines=tail) as lines:
            for line in lines:
                yield name, line


def followed(cluster: Cluster, labels: str, container: str, tail: int) -> Iterator[tuple[str, bytes]]:
    """(pod, line) as they come, of all pods there are and will be; until the caller stops."""
    lines: queue.SimpleQueue[tuple[str, bytes | None]] = queue.SimpleQueue()
    reading: set[str] = set()
    looked = 0.0
    while True:
        if time.monotonic() - looked > _LOOK_S:
            looked = time.monotonic()
            for pod in pods_with(cluster, labels):
                name = pod["metadata"]["name"]
                if name not in reading and _has_begun(pod, container):
                    reading.add(name)
                    threading.Thread(
                        target=_read, args=(cluster, pod, container, tail, lines), name=f"log {name}", daemon=True
                    ).start()
        try:
            name, line = lines.get(timeout=_LOOK_S)
        except queue.Empty:
            continue
        if line is not None:
            yield name, line


def _read(
    cluster: Cluster, pod: Object, container: str, tail: int, into: queue.SimpleQueue[tuple[str, bytes | None]]
) -> None:
    name = pod["metadata"]["name"]
    try:
        query = {"container": _container(pod, container), "tailLines": tail, "follow": "true"}
        with cluster.log(name, **query) as lines:
            for line in lines:
                into.put((name, line))
    except (KelpError, OSError) as error:
        into.put((name, f"kelp: the log of {name} ends here: {error}".encode()))


def _container(pod: Object, wanted: str) -> str:
    """The container of that name; where there is none, the first: a runtime of one's own may name it otherwise."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    return wanted if wanted in names else str(names[0])


def _has_begun(pod: Object, container: str) -> bool:
    wanted = _container(pod, container)
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status["name"] == wanted:
            return "waiting" not in (status.get("state") or {})
    return False
