"""The models' objects of one environment: the cards of `environments/models/`, changed as its `cards.yaml` says."""

from __future__ import annotations

from typing import Any

import yaml

from kelp.card import Card, parse_card
from kelp.deploy.generate.places import NAMESPACE, Places
from kelp.deploy.generate.values import merged, options_of, read_yaml
from kelp.deploy.objects import render
from kelp.errors import InvalidRequest
from kelp.weights.uris import scheme_of

EVERY = "*"


def values_of(places: Places, name: str) -> dict[str, Any]:
    """The chart's values as environment `name` has them."""
    found: dict[str, Any] = merged(
        read_yaml(places.chart / "values.yaml"), read_yaml(places.environment(name) / "values.yaml")
    )
    return found


def cards_of(places: Places, name: str) -> list[Card]:
    """The cards of environment `name`: every shipped one, with the changes for all and then its own laid over it.

    `NAME: null` leaves a card out. CardError or InvalidRequest name the file and the field.
    """
    changes_file = places.environment(name) / "cards.yaml"
    changes = read_yaml(changes_file)
    shipped = {path.stem: read_yaml(path) for path in sorted(places.cards.glob("*.yaml"))}
    unknown = set(changes) - set(shipped) - {EVERY}
    if unknown:
        raise InvalidRequest(f"{changes_file}: no such card: {', '.join(sorted(unknown))}")
    cards = []
    for stem, card in shipped.items():
        if stem in changes and changes[stem] is None:
            continue
        whole = merged(merged(card, changes.get(EVERY) or {}), changes.get(stem) or {})
        cards.append(_placed(parse_card(yaml.safe_dump(whole), source=f"{changes_file}: {stem}"), places))
    return cards


def objects_of(places: Places, name: str) -> list[dict[str, Any]]:
    """What environment `name` renders of its cards."""
    options = options_of(values_of(places, name), NAMESPACE)
    return [item for card in cards_of(places, name) for item in render(card, options)]


def _placed(card: Card, places: Places) -> Card:
    """`card` with its weights as seen from the shipped cards' folder."""
    if scheme_of(card.weights.uri):
        return card
    path = (places.cards / card.weights.uri).resolve()
    return card.model_copy(update={"weights": card.weights.model_copy(update={"uri": str(path)})})
