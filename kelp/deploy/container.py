"""A model's container: ports, probes, security."""

from __future__ import annotations

from typing import Any

from kelp.card import Card

REST_PORT, GRPC_PORT = 8080, 8081
USER = 65532
LIVENESS = "liveness"
"""The service that a gRPC health check names to ask whether the process lives, ready or not."""


def ports(card: Card) -> list[dict[str, Any]]:
    """The one port that Knative exposes; its name decides the protocol."""
    if card.protocol == "grpc":
        return [{"name": "h2c", "containerPort": GRPC_PORT, "protocol": "TCP"}]
    return [{"name": "http1", "containerPort": REST_PORT, "protocol": "TCP"}]


def probes(card: Card) -> dict[str, Any]:
    """readinessProbe and livenessProbe.

    No startup probe: with one, Knative's activator waits until the kubelet has seen the pod ready, which costs a cold
    start one to two seconds, where it would else ask queue-proxy itself. A start that takes too long is ended by the
    process, after the card's start_timeout. Readiness has no period: queue-proxy then asks every 50 ms until the model
    has loaded and warmed up. Liveness is answered by the event loop, while loading too, and no prediction blocks it;
    it gives up after half a minute of silence.
    """
    if card.protocol == "grpc":
        ready: dict[str, Any] = {"grpc": {"port": GRPC_PORT}}
        live: dict[str, Any] = {"grpc": {"port": GRPC_PORT, "service": LIVENESS}}
    else:
        ready = {"httpGet": {"path": "/v2/health/ready", "port": REST_PORT}}
        live = {"httpGet": {"path": "/v2/health/live", "port": REST_PORT}}
    # The delay is for imports from a cold disk, before anything listens.
    patience = {"initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 3}
    return {"readinessProbe": {**ready, "successThreshold": 1}, "livenessProbe": {**live, **patience}}


def security_context() -> dict[str, Any]:
    """What Pod Security's "restricted" asks, and a read-only root besides."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsGroup": USER,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
