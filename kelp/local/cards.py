"""The cards of a folder, each with the file that its predictor will read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kelp.card import Card, load_card, load_cards


@dataclass(frozen=True, slots=True)
class CardFile:
    card: Card
    path: Path


def read_cards(folder: Path) -> dict[str, CardFile]:
    """By the model's name. CardError names file and field, or the folder that is not there or holds none."""
    from kelp.card.load import CardError

    names = set(load_cards(folder))
    if not names:
        raise CardError(f"{folder}: holds no model card (*.yaml)")
    found = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".yaml", ".yml"} and not p.name.startswith(".")):
        card = load_card(path)
        found[card.model_name] = CardFile(card, path.resolve())
    return found
