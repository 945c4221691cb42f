"""Cards as one environment has them: the shipped ones, with what the environment's own file changes laid over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kelp.card import Card, load_card, parse_card
from kelp.errors import InvalidRequest
from kelp.weights.uris import scheme_of

EVERY = "*"
"""The name that stands for all cards in a file of changes."""


def merged(base: Any, change: Any) -> Any:
    """`base` with `change` laid over it, as RFC 7386 (JSON Merge Patch) and helm say: null takes a key out."""
    if not isinstance(change, dict):
        return change
    found = dict(base) if isinstance(base, dict) else {}
    for key, value in change.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def read_yaml(path: Path) -> dict[str, Any]:
    """A file's mapping; an empty file is an empty one. InvalidRequest where it is none."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidRequest(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise InvalidRequest(f"{path}: expected a mapping, got {type(data).__name__}")
    return data


def patched_cards(cards: Iterable[Path], changes: Path) -> dict[str, Card]:
    """The cards of the files `cards` by model name, `changes` laid over: those of `*`, then those of the model's name.

    `NAME: null` leaves a model out. A path of weights is seen from the card's own file. CardError or InvalidRequest
    name the file and the field.
    """
    wanted = read_yaml(changes)
    found: dict[str, Card] = {}
    names = set()
    for path in cards:
        name = load_card(path).model_name
        names.add(name)
        if name in wanted and wanted[name] is None:
            continue
        whole = merged(merged(read_yaml(path), wanted.get(EVERY) or {}), wanted.get(name) or {})
        card = parse_card(yaml.safe_dump(whole, allow_unicode=True), source=f"{path} with {changes}")
        found[name] = _seen_from(path, card)
    unknown = wanted.keys() - names - {EVERY}
    if unknown:
        raise InvalidRequest(f"{changes}: no such model: {', '.join(sorted(unknown))}")
    return found


def _seen_from(path: Path, card: Card) -> Card:
    if scheme_of(card.weights.uri):
        return card
    absolute = (path.resolve().parent / Path(card.weights.uri).expanduser()).resolve()
    return card.model_copy(update={"weights": card.weights.model_copy(update={"uri": str(absolute)})})
