"""`python -m predictors.check CARD…`: what only a card's runtime knows is wrong with it, as one JSON object.

card's path → {"faults": [line…], "notes": [line…]}; a note is what could not be checked here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kelp.card import Card, load_card
from kelp.card.load import settings_faults, shared_settings_faults
from kelp.errors import InvalidRequest, KelpError
from kelp.settings.model import settings_of
from predictors.registry import factory_of


def main(paths: Sequence[str]) -> None:
    found = {}
    for path in paths:
        faults, notes = check(load_card(path, check_settings=False))
        found[path] = {"faults": faults, "notes": notes}
    print(json.dumps(found, ensure_ascii=False))  # noqa: T201


def check(card: Card) -> tuple[list[str], list[str]]:
    """Faults and notes. Nothing of the weights is read, so that they need not be here."""
    files = {role: Path(entry.file or card.weights.uri) for role, entry in card.weights.by_role().items()}
    shared = shared_settings_faults(card)
    try:
        model = factory_of(card.runtime)(card, files)
    except InvalidRequest as error:  # it is there, but not installed here
        return shared, [f"its own settings are not checked: {error.message}"]
    except KelpError as error:
        return [f"runtime: {error.message}", *shared], []
    except Exception as error:  # a package that this runtime needs is not installed here, or it looks into the weights
        why = f"runtime '{card.runtime}' could not check them here ({type(error).__name__}: {error})"
        return shared, [f"its own settings are not checked: {why}"]
    return settings_faults(card.settings, settings_of(card.task, model.own_settings)), []


if __name__ == "__main__":
    main(sys.argv[1:])
