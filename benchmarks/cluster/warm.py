"""The way to a model that is awake: what each hop adds, and REST beside gRPC."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.cluster.stage import Stage
from tests.cluster.support.cluster import wait_for

QUESTIONS, COUNT, WORKERS, SECONDS = 300, 60, 4, 10
PREDICTOR, QUEUE = 8080, 8012


def ways(stage: Stage) -> dict[str, list[float]]:
    """Way → seconds of each question. Every way has a hop more than the one before."""
    host, through = stage.host("warm-rest"), stage.host("activator")
    address = _ip(stage, "warm-rest")
    asked = {
        "the predictor itself": [f"{address}:{PREDICTOR}", host, "warm-rest"],
        "through queue-proxy": [f"{address}:{QUEUE}", host, "warm-rest"],
        "through gateway and queue-proxy": [f"{host}:80", host, "warm-rest"],
        "through gateway, activator and queue-proxy": [f"{through}:80", through, "activator"],
    }
    found: dict[str, list[float]] = stage.inside("ways", QUESTIONS, json.dumps(asked))
    return found


def protocols(stage: Stage) -> dict[str, Any]:
    """REST and gRPC by the same way: gateway and queue-proxy."""
    return {protocol: _ask(stage, protocol, f"warm-{protocol}") for protocol in ("rest", "grpc")}


def _ask(stage: Stage, protocol: str, model: str) -> Any:
    host = stage.host(model)
    return stage.inside("warm", protocol, f"{host}:80", host, model, COUNT, WORKERS, SECONDS)


def _ip(stage: Stage, name: str) -> str:
    (pod,) = wait_for(lambda: stage.pods(name), f"{name} awake", 120)
    return str(pod["status"]["podIP"])
