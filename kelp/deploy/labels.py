"""Labels and annotations of the platform's objects."""

from __future__ import annotations

from kelp.card import Card

CARD_ANNOTATION = "kelp.dev/card"
MODEL_LABEL = "kelp.dev/model"


def model_labels(card: Card) -> dict[str, str]:
    """Of a model's objects. KServe copies them into the revision: nothing here may change without rolling it."""
    found = {
        "app.kubernetes.io/name": card.model_name,
        "app.kubernetes.io/component": "model",
        "app.kubernetes.io/part-of": "kelp",
        "app.kubernetes.io/managed-by": "kelp",
        MODEL_LABEL: card.model_name,
    }
    if card.version:
        found["app.kubernetes.io/version"] = card.version
    return found
