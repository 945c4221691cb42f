"""The way to a model that is awake: what each hop adds, and REST beside gRPC."""

from __future__ import annotations

from typing import Any

from benchmarks.cluster.stage import Stage
from tests.cluster.support.cluster import wait_for

COUNT, WORKERS, SECONDS = 60, 4, 10
PREDICTOR, QUEUE, QUEUE_H2C = 8080, 8012, 8013


def ways(stage: Stage) -> dict[str, Any]:
    """Way → what it took. Each one adds a hop to the one before."""
    address = _ip(stage, "warm-rest")
    host = stage.host("warm-rest")
    return {
        "the predictor itself": _ask(stage, "rest", f"{address}:{PREDICTOR}", host, "warm-rest"),
        "through queue-proxy": _ask(stage, "rest", f"{address}:{QUEUE}", host, "warm-rest"),
        "through gateway and queue-proxy": _ask(stage, "rest", f"{host}:80", host, "warm-rest"),
        "through gateway, activator and queue-proxy": _ask(
            stage, "rest", f"{stage.host('activator')}:80", stage.host("activator"), "activator"
        ),
    }


def protocols(stage: Stage) -> dict[str, Any]:
    """REST and gRPC by the same way: gateway and queue-proxy."""
    return {
        protocol: _ask(
            stage, protocol, f"{stage.host(f'warm-{protocol}')}:80", stage.host(f"warm-{protocol}"), f"warm-{protocol}"
        )
        for protocol in ("rest", "grpc")
    }


def _ask(stage: Stage, protocol: str, address: str, host: str, model: str) -> Any:
    return stage.inside("warm", protocol, address, host, model, COUNT, WORKERS, SECONDS)


def _ip(stage: Stage, name: str) -> str:
    (pod,) = wait_for(lambda: stage.pods(name), f"{name} awake", 120)
    return str(pod["status"]["podIP"])
