"""The door of the cluster: where its ingress gateway answers from here, and what it serves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.support.cluster import Cluster, Object
from tests.cluster.support.forward import Forward

_LABELS = ("istio=ingressgateway", "app=3scale-kourier-gateway")


@contextmanager
def gateway(cluster: Cluster) -> Iterator[str]:
    """http://HOST:PORT of the ingress gateway while the block runs.

    `KELP_TEST_GATEWAY` says it; else a load balancer's address, a node's port, or a port forwarded to here.
    """
    if named := os.environ.get("KELP_TEST_GATEWAY"):
        yield named.rstrip("/")
        return
    found = _service(cluster)
    if address := _load_balancer(found):
        yield f"http://{address}"
        return
    port = next((port for port in found["spec"]["ports"] if port["port"] == 80), None)
    assert port, f"service {found['metadata']['name']} has no port 80"
    node = _node_address(cluster)
    if node and port.get("nodePort"):
        yield f"http://{node}:{port['nodePort']}"
        return
    meta = found["metadata"]
    with Forward(cluster, f"service/{meta['name']}", 80, meta["namespace"]) as forward:
        yield forward.url


def host_of(isvc: Object) -> str:
    """The name that an InferenceService has outside."""
    return urlsplit(isvc["status"]["url"]).netloc


def _service(cluster: Cluster) -> Any:
    for labels in _LABELS:
        for found in cluster.get("service", selector=labels, everywhere=True):
            return found
    # Knative's own gateway for Kourier bears no label of its own.
    found = cluster.get("service", "kourier", "kourier-system")
    assert found, "no ingress gateway found: name it with KELP_TEST_GATEWAY=http://HOST:PORT"
    return found


def _load_balancer(found: Object) -> str:
    ingress = found.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    return ingress[0].get("ip") or ingress[0].get("hostname") or ""


def _node_address(cluster: Cluster) -> str:
    nodes = cluster.get("nodes")
    addresses = [a for node in nodes for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    return str(addresses[0]["address"]) if addresses else ""
