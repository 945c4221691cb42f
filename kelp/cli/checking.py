"""Everything that can be wrong with cards before they are served."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kelp.card import Card
from kelp.errors import KelpError

_RUNTIMES_S = 120.0


@dataclass(slots=True)
class Checked:
    """card: None where it cannot be read; notes: what could not be checked here."""

    path: Path
    card: Card | None = None
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_cards(paths: Sequence[Path], *, fetch_weights: bool) -> list[Checked]:
    """The cards one by one: schema, weights, and what their runtimes know of settings and tasks."""
    found = [_checked(path, fetch_weights=fetch_weights) for path in paths]
    _ask_runtimes([checked for checked in found if checked.card is not None])
    return found


def _checked(path: Path, *, fetch_weights: bool) -> Checked:
    from kelp.card import load_card
    from kelp.weights import default_cache, weights_faults

    checked = Checked(path)
    try:
        checked.card = card = load_card(path, check_settings=False)
        checked.faults += [f"{path}: {fault}" for fault in weights_faults(card)]
        if fetch_weights and not checked.faults:
            from kelp.cli.progress import fetch_with_bar

            fetch_with_bar(card, default_cache())
    except KelpError as error:
        checked.faults += error.message.splitlines()
    return checked


def _ask_runtimes(cards: Sequence[Checked]) -> None:
    """By a process of their own room: which runtimes there are, and what each declares, is known nowhere else."""
    from kelp.card.load import shared_settings_faults

    if not cards:
        return
    told: dict[str, dict[str, list[str]]] = {}
    why_not = "predictors are not installed here"
    if importlib.util.find_spec("predictors") is not None:
        command = [sys.executable, "-m", "predictors.check", *(str(checked.path) for checked in cards)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_RUNTIMES_S, check=False)
        if done.returncode == 0:
            told = json.loads(done.stdout)
        else:
            why_not = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    for checked in cards:
        assert checked.card is not None
        answer = told.get(str(checked.path)) or {
            "faults": shared_settings_faults(checked.card),
            "notes": [f"runtime and its own settings are not checked: {why_not}"],
        }
        checked.faults += [f"{checked.path}: {fault}" for fault in answer["faults"]]
        checked.notes += [f"{checked.path}: {note}" for note in answer["notes"]]
