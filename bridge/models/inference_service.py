"""What an InferenceService says about itself: which card, where it is called, and how it is.

Read from `serving.kserve.io/v1beta1` as KServe 0.17 to 0.20 write it; what is missing is unknown, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kelp.card.metadata import State

CARD_ANNOTATION = "kelp.dev/card"


@dataclass(frozen=True, slots=True)
class InferenceService:
    """card: the ConfigMap that holds it. url: inside the cluster; None while it has none, or none of its namespace's.

    state: asleep means that it can be called; whether a pod runs behind it the object does not say. reason: of
    starting and failing.
    """

    namespace: str
    name: str
    card: str
    url: str | None
    state: State
    reason: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> InferenceService | None:
        """None where it is none of Kelp's."""
        metadata, status = item["metadata"], item.get("status") or {}
        card = (metadata.get("annotations") or {}).get(CARD_ANNOTATION)
        if not card:
            return None
        namespace, name = metadata["namespace"], metadata["name"]
        address = (status.get("address") or {}).get("url")
        url = address if address and is_in_namespace(address, namespace) else None
        state, reason = _state(metadata, status)
        if url is None and state == "asleep":
            state, reason = "starting", f"its address is {address!r}" if address else "it has no address yet"
        return cls(namespace, name, card, url, state, reason)


def is_in_namespace(url: str, namespace: str) -> bool:
    """Whether `url` is a service of `namespace`: what stands in a status must not lead the bridge anywhere else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and host.split(".")[1:3] == [namespace, "svc"]


def _state(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[State, str | None]:
    if metadata.get("deletionTimestamp"):
        return "failing", "it is being deleted"
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    if (conditions.get("Stopped") or {}).get("status") == "True":
        return "failing", "it is stopped (serving.kserve.io/stop)"
    # What is told is told of another generation: the controller has not seen this one yet.
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        return "starting", None
    match (conditions.get("Ready") or {}).get("status"):
        case "True":
            return "asleep", None
        case "False":
            return "failing", _why(conditions, status)
        case _:
            return "starting", _why(conditions, status)


def _why(conditions: Mapping[str, Mapping[str, Any]], status: Mapping[str, Any]) -> str | None:
    """Why the model's container failed, where it is told; else the first condition that gives a reason."""
    failure = ((status.get("modelStatus") or {}).get("lastFailureInfo")) or {}
    if failure.get("message"):
        return _one_line(failure.get("reason"), failure["message"])
    open_ones = [c for kind, c in sorted(conditions.items(), key=_nearness) if c.get("status") != "True"]
    for field in ("message", "reason"):
        for condition in open_ones:
            if condition.get(field):
                return _one_line(condition.get("reason"), condition.get("message"))
    return None


def _nearness(condition: tuple[str, Any]) -> tuple[bool, str]:
    """The predictor's own conditions come first: the others only say that they wait for it."""
    return not condition[0].startswith("Predictor"), condition[0]


def _one_line(reason: str | None, message: str | None) -> str:
    text = " ".join(": ".join(filter(None, (reason, message))).split())
    return text if len(text) <= 300 else text[:299] + "…"
