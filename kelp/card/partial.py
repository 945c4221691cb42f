"""What of a card can be checked although fields of it are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kelp.card.load import CardError, read_mapping, seen_from
from kelp.card.schema import Card

# Of the fields that every card has; what is then said of them is to be left out.
_STAND_INS: dict[str, Any] = {"name": "card", "runtime": "none", "task": "segment", "weights": {"uri": "weights"}}


def readable_part(path: Path) -> tuple[Card, frozenset[str]] | None:
    """The card without its wrong fields, and their names; a required one has a stand-in. None where nothing is left."""
    try:
        data = read_mapping(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError, CardError):
        return None
    wrong: frozenset[str] = frozenset()
    while True:  # each round takes a field away
        try:
            return seen_from(path, Card.model_validate(data, extra="forbid")), wrong
        except ValidationError as error:
            # What is said of no field is said of the name with its version.
            places = [fault["loc"] or ("version",) for fault in error.errors(include_url=False)]
        found = {str(place[0]) for place in places} - wrong
        if not found:
            return None
        wrong |= found
        data = {key: value for key, value in data.items() if str(key) not in found}
        data |= {key: value for key, value in _STAND_INS.items() if key in found}


def without(wrong: frozenset[str], faults: list[str]) -> list[str]:
    """Those of `faults` (`FIELD: …`) that are not about the fields `wrong`. Settings belong to a task."""
    left_out = wrong | {"settings"} if "task" in wrong else wrong
    return [fault for fault in faults if fault.partition(":")[0].partition(".")[0] not in left_out]
