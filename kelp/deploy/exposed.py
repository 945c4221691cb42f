"""The way from outside of the cluster to one model's V2 paths, where its card asks for it."""

from __future__ import annotations

from typing import Any

from kelp.card import Card
from kelp.deploy.labels import model_labels
from kelp.deploy.options import RenderOptions
from kelp.errors import InvalidRequest

LOCAL_GATEWAY = "knative-local-gateway.istio-system.svc.cluster.local"


def virtual_service(card: Card, options: RenderOptions, timeout_s: int) -> dict[str, Any]:
    """An Istio VirtualService: the host's paths of this model go to the cluster-local gateway under its own name.

    TLS and the token are checked by the gateway, for the host as a whole. InvalidRequest where there is no such host.
    """
    if not (options.expose_host and options.expose_gateway):
        raise InvalidRequest(
            f"{card.model_name}: expose: the cluster names no host under which models are called from outside "
            "(network.expose.host)"
        )
    name = card.model_name
    inside = f"{name}-predictor.{options.namespace}.svc.cluster.local"
    path = f"/v2/models/{name}"
    matches = [{"uri": {"exact": path}}, {"uri": {"prefix": f"{path}/"}}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": f"kelp-{name}", "namespace": options.namespace, "labels": model_labels(card)},
        "spec": {
            "hosts": [options.expose_host],
            "gateways": [options.expose_gateway],
            "http": [
                {
                    "match": matches,
                    "rewrite": {"authority": inside},
                    "route": [{"destination": {"host": LOCAL_GATEWAY, "port": {"number": 80}}}],
                    "timeout": f"{timeout_s}s",
                }
            ],
        },
    }
