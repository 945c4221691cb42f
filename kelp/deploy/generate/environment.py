"""The models' objects of one environment: the cards of `environments/models/`, changed as its `cards.yaml` says."""

from __future__ import annotations

from typing import Any

from kelp.card import Card
from kelp.deploy.generate.places import NAMESPACE, Places
from kelp.deploy.generate.values import options_of
from kelp.deploy.objects import render
from kelp.deploy.patches import merged, patched_cards, read_yaml


def values_of(places: Places, name: str) -> dict[str, Any]:
    """The chart's values as environment `name` has them."""
    found: dict[str, Any] = merged(
        read_yaml(places.chart / "values.yaml"), read_yaml(places.environment(name) / "values.yaml")
    )
    return found


def cards_of(places: Places, name: str) -> list[Card]:
    """The cards of environment `name`."""
    shipped = sorted(places.cards.glob("*.yaml"))
    return list(patched_cards(shipped, places.environment(name) / "cards.yaml").values())


def objects_of(places: Places, name: str) -> list[dict[str, Any]]:
    """What environment `name` renders of its cards."""
    options = options_of(values_of(places, name), NAMESPACE)
    return [item for card in cards_of(places, name) for item in render(card, options)]
