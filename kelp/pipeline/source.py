"""Whether a project has the label whose points a task webhook goes by: the corners to crop, the grid to remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kelp.card import Card
from kelp.pipeline.labels import match
from kelp.pipeline.schema import Crop, RemoveGrid

CORNERS = 4
_OTHER_TYPES = {"points", "polygon", "polyline", "any"}  # which hold corners too, where they are named


def points_fault(spec: Crop | RemoveGrid, labels: Sequence[Mapping[str, Any]], cards: Mapping[str, Card]) -> str:
    """Why the bridge would not know which of the project's `labels` holds the points; "" where it does, as far as can
    be told from here."""
    count, noun = CORNERS, "corners to crop by"
    if isinstance(spec, RemoveGrid):
        card = cards.get(spec.model)
        if card is None or card.grid_shape is None:
            return ""
        count, noun = card.grid_shape[0] * card.grid_shape[1], "grid to remove"
    elif spec.label is not None:
        row = match(spec.label, list(map(dict, labels)))
        if row is None:
            return f"it has no label '{spec.label}' with the {noun}"
        fits = len(row["sublabels"]) == count if row["type"] == "skeleton" else row["type"] in _OTHER_TYPES
        return "" if fits else f"its label '{spec.label}' does not hold {count} points"
    there = [row["name"] for row in labels if row["type"] == "skeleton" and len(row["sublabels"]) == count]
    if not there:
        return f"it has no skeleton of {count} points, the {noun}"
    if len(there) == 1 or len(_of_cards(cards, count) & set(there)) == 1:
        return ""
    return f"it has several skeletons of {count} points: {', '.join(there)}"


def _of_cards(cards: Mapping[str, Card], count: int) -> set[str]:
    """The label of the only pose card of so many points; none where there is no such card, or several."""
    found = [
        label.name
        for card in cards.values()
        for label in card.labels
        if card.task == "pose" and len(label.sublabels) == count
    ]
    return set(found) if len(found) == 1 else set()
