"""`python -m predictors.check CARD…`: what only a card's runtime knows is wrong with it, as one JSON object.

card's path → {"faults": [line…], "notes": [line…]}; a note is what could not be checked here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kelp.card import Card, load_card
from kelp.card.load import CardError, settings_faults, shared_settings_faults
from kelp.card.partial import readable_part, without
from kelp.errors import InvalidRequest, KelpError, NotFound
from kelp.settings.model import settings_of
from predictors.registry import factory_of


def main(paths: Sequence[str]) -> None:
    found = {}
    for path in paths:
        card, wrong = _readable(Path(path))
        faults, notes = check(card, wrong)
        found[path] = {"faults": without(wrong, faults), "notes": notes}
    print(json.dumps(found, ensure_ascii=False))  # noqa: T201


def _readable(path: Path) -> tuple[Card, frozenset[str]]:
    try:
        return load_card(path, check_settings=False), frozenset()
    except CardError:
        if part := readable_part(path):
            return part
        raise


def check(card: Card, wrong: frozenset[str] = frozenset()) -> tuple[list[str], list[str]]:
    """Faults and notes. wrong: fields with stand-ins, or left out.

    The weights need not be here; where all of them are, the runtime says what it sees of them without loading them.
    """
    files = {role: _place(card, entry.file) for role, entry in card.weights.by_role().items()}
    shared = shared_settings_faults(card)
    try:
        model = factory_of(card.runtime)(card, files)
    except InvalidRequest as error:  # it is there, but not installed here
        return shared, [f"its own settings are not checked: {error.message}"]
    except NotFound as error:
        return [f"runtime: {error.message}", *shared], []
    except KelpError as error:  # of its task or its files
        return [*([] if wrong & {"task", "weights"} else [f"runtime: {error.message}"]), *shared], []
    except Exception as error:  # a package that this runtime needs is not installed here, or it looks into the weights
        why = f"runtime '{card.runtime}' could not check them here ({type(error).__name__}: {error})"
        return shared, [f"its own settings are not checked: {why}"]
    faults = settings_faults(card.settings, settings_of(card.task, model.own_settings))
    if "weights" in wrong or "://" in card.weights.uri or not all(file.is_file() for file in files.values()):
        return faults, []
    try:
        model.check_files()
    except KelpError as error:
        if error.code == "runtime_not_installed":
            return faults, [f"its files are not looked into: {error.message}"]
        return [*faults, f"weights: {error.message}"], []
    except Exception as error:  # a package that its formats need is not installed here
        return faults, [f"its files are not looked into: {type(error).__name__}: {error}"]
    return faults, []


def _place(card: Card, name: str) -> Path:
    """Of a card that was read from a file; only a name where the weights lie elsewhere."""
    uri = card.weights.uri
    if "://" in uri:
        return Path(name or uri)
    return Path(uri) / name if name else Path(uri)


if __name__ == "__main__":
    main(sys.argv[1:])
