"""How a model of the cluster is called from here: by its own address inside, through its gateway's pod outside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kelp.deploy.cluster.api import SERVING, Cluster, Object
from kelp.deploy.cluster.relay import relay
from kelp.errors import NotReady


@dataclass(frozen=True, slots=True)
class Door:
    """url: where to connect; authority: the host to name there, empty for the address's own."""

    url: str
    authority: str = ""


@contextlib.contextmanager
def door_of_model(cluster: Cluster, name: str) -> Iterator[Door]:
    """Open while the block runs. NotReady where the model has no address yet."""
    service = cluster.get(SERVING, "InferenceService", name)
    address = _address(service)
    if not address:
        raise NotReady(f"model '{name}' has no address yet")
    host = urlsplit(address).hostname or ""
    if cluster.access.inside:
        yield Door(address.rstrip("/"))
        return
    first, _, rest = host.partition(".")
    with _into(cluster, first, rest.partition(".")[0] or cluster.namespace, 80) as port:
        yield Door(f"http://127.0.0.1:{port}", host)


@contextlib.contextmanager
def door_of_service(cluster: Cluster, name: str, port: int, *, local_port: int = 0) -> Iterator[Door]:
    """The same for a service of our namespace, such as the bridge."""
    if cluster.access.inside:
        yield Door(f"http://{name}.{cluster.namespace}:{port}")
        return
    with _into(cluster, name, cluster.namespace, port, local_port=local_port) as local:
        yield Door(f"http://127.0.0.1:{local}")


def _address(service: Object) -> str:
    """The predictor's cluster-local address; a service that answers outside too has one besides."""
    status = service.get("status") or {}
    predictor = (status.get("components") or {}).get("predictor") or {}
    for place in (predictor.get("address"), status.get("address")):
        if place and place.get("url"):
            return str(place["url"])
    return ""


@contextlib.contextmanager
def _into(cluster: Cluster, name: str, namespace: str, port: int, *, local_port: int = 0) -> Iterator[int]:
    """A local port that leads to `port` of a service, followed to where its name points."""
    service = cluster.get("v1", "Service", name, namespace=namespace)
    target = (service["spec"].get("externalName") or "").split(".")
    if len(target) >= 2:  # Knative's placeholder: the gateway that finds the model by the host's name
        service = cluster.get("v1", "Service", target[0], namespace=target[1])
    meta = service["metadata"]
    ports: list[Any] = service["spec"].get("ports") or []
    wanted = next((p["targetPort"] for p in ports if p["port"] == port), ports[0]["targetPort"] if ports else port)
    pod = _pod_behind(cluster, service)
    number = wanted if isinstance(wanted, int) else _port_named(pod, wanted)
    with relay(cluster, meta["namespace"], pod["metadata"]["name"], number, local_port=local_port) as local:
        yield local


def _pod_behind(cluster: Cluster, service: Object) -> Object:
    meta = service["metadata"]
    selector = service["spec"].get("selector") or {}
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    pods = cluster.find_all("v1", "Pod", labels=labels, namespace=meta["namespace"]) if labels else []
    for pod in pods:
        if is_ready(pod):
            return pod
    raise NotReady(f"no pod stands behind service {meta['namespace']}/{meta['name']}")


def is_ready(pod: Object) -> bool:
    """Whether the pod takes requests."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _port_named(pod: Object, name: str) -> int:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    raise NotReady(f"pod {pod['metadata']['name']} has no port '{name}'")
