"""Whether a model can do what is asked of it, by its card's task."""

from __future__ import annotations

from bridge.models.card import ModelCard
from kelp.settings.model import TASKS_FOR_RUNS

_LACKS = {"detect": "annotates no jobs", "remove-grid": "removes no grids"}


def unsuited(card: ModelCard, kind: str) -> str | None:
    """Why the model can do no run of `kind`, for people; None where it can, or its card does not say what it does."""
    fits = card.task is None or card.task in TASKS_FOR_RUNS[kind]
    return None if fits else f"{card.name} {_LACKS[kind]}: its task is {card.task}"
