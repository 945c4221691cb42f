"""Whether a model can do what is asked of it, by its card's task."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.models.card import ModelCard

_CAN: Mapping[str, tuple[str, frozenset[str]]] = {
    "detect": ("annotates no jobs", frozenset({"segment", "detect", "pose"})),
    "remove-grid": ("removes no grids", frozenset({"inpaint"})),
}


def unsuited(card: ModelCard, kind: str) -> str | None:
    """Why the model can do no run of `kind`, for people; None where it can, or its card does not say what it does."""
    lacks, tasks = _CAN[kind]
    return None if card.task is None or card.task in tasks else f"{card.name} {lacks}: its task is {card.task}"
