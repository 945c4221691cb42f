"""A card as a cluster runs it, and the part of it that its predictor reads."""

from __future__ import annotations

import json
from typing import Any

from kelp.card import Card, Weights

# What only people, CVAT and Kubernetes read. A change of these must not roll a model.
_NOT_SERVED = frozenset(
    {"title", "description", "quality", "cvat", "scale", "resources", "scheduling", "canary_percent", "expose"}
)
_NOT_SERVED_OF_A_LABEL = frozenset({"color", "svg"})


def with_gpu_choice(card: Card, *, gpu: bool) -> Card:
    """`card` without its GPUs, and for the CPU, where there are none or its engine cannot use one."""
    if gpu:
        return card
    without: dict[str, Any] = {"gpu": None, "mig": {}}
    resources = card.resources
    return card.model_copy(
        update={
            "device": "cpu",
            "resources": resources.model_copy(
                update={
                    "requests": resources.requests.model_copy(update=without),
                    "limits": resources.limits.model_copy(update=without),
                }
            ),
        }
    )


def as_data(card: Card) -> dict[str, Any]:
    """`card` as it is written in YAML or JSON, without what has its default."""
    return card.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def serving_json(card: Card, weights: Weights) -> str:
    """The environment variable KELP_CARD_JSON: compact, the same text for the same content."""
    data = {key: value for key, value in as_data(card).items() if key not in _NOT_SERVED}
    data["weights"] = weights.model_dump(mode="json", exclude_defaults=True)
    # Its container's own limits count, not those that a card has by default.
    data["resources"] = {"requests": {}, "limits": {}}
    if "labels" in data:
        data["labels"] = [
            {key: value for key, value in label.items() if key not in _NOT_SERVED_OF_A_LABEL}
            for label in data["labels"]
        ]
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
