"""Everything that can be wrong with cards before they are served."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kelp.card import Card
from kelp.card.load import CardError
from kelp.errors import KelpError

_RUNTIMES_S = 120.0


@dataclass(slots=True)
class Checked:
    """card: None where a field is wrong; part: what is left of it then, without the fields `wrong`, else the card;
    missing: no such file, or no card in the folder; notes: what could not be checked here."""

    path: Path
    card: Card | None = None
    part: Card | None = None
    wrong: frozenset[str] = frozenset()
    missing: bool = False
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_cards(paths: Sequence[Path], *, fetch_weights: bool) -> list[Checked]:
    """The cards of `paths`, files or folders of them, one by one: schema, weights, what their runtimes know of settings
    and tasks, and names that stand twice in a folder."""
    found: list[Checked] = []
    for path in paths:
        if not path.is_dir():
            found.append(_checked(path, fetch_weights=fetch_weights))
            continue
        files = sorted(p for p in path.iterdir() if p.suffix in {".yaml", ".yml"} and not p.name.startswith("."))
        if not files:
            found.append(Checked(path, missing=True, faults=[f"{path}: holds no model card (*.yaml)"]))
        cards = [_checked(file, fetch_weights=fetch_weights) for file in files]
        _compare_names(cards)
        found += cards
    _ask_runtimes([checked for checked in found if checked.part is not None])
    return found


def refuse_faulty(cards: Sequence[Card]) -> None:
    """Cards that come from elsewhere than files, before they are applied: a setting that their runtime does not know
    would end each pod that reads it. CardError names every fault; where no predictors are installed, those that need
    none."""
    from kelp.deploy.cards import as_data

    with tempfile.TemporaryDirectory(prefix="kelp-cards-") as folder:
        checked = []
        for number, card in enumerate(cards):
            path = Path(folder) / f"{number}.yaml"
            path.write_text(json.dumps(as_data(card)))
            checked.append(Checked(path, card=card, part=card))
        _ask_runtimes(checked)
    faults = [
        f"{each.part.model_name}: {fault.removeprefix(f'{each.path}: ')}"
        for each in checked
        if each.part is not None
        for fault in each.faults
    ]
    if faults:
        raise CardError("\n".join(faults))


def _compare_names(folder: Sequence[Checked]) -> None:
    origin: dict[str, Path] = {}
    for checked in folder:
        if checked.card is None:
            continue
        name = checked.card.model_name
        if name in origin:
            checked.faults.append(f"{checked.path}: name: '{name}' is already described by {origin[name]}")
        origin.setdefault(name, checked.path)


def _checked(path: Path, *, fetch_weights: bool) -> Checked:
    from kelp.card import load_card
    from kelp.card.partial import readable_part, without
    from kelp.weights import default_cache, weights_faults

    checked = Checked(path)
    if not path.exists():
        checked.missing = True
        checked.faults.append(f"{path}: cannot be read: no such file or folder")
        return checked
    try:
        checked.part = checked.card = card = load_card(path, check_settings=False)
        checked.faults += [f"{path}: {fault}" for fault in weights_faults(card)]
        if fetch_weights and not checked.faults:
            from kelp.cli.progress import fetch_with_bar

            fetch_with_bar(card, default_cache())
    except KelpError as error:
        checked.faults += error.message.splitlines()
    if checked.card is None and (part := readable_part(path)):
        checked.part, checked.wrong = part
        checked.faults += [f"{path}: {fault}" for fault in without(checked.wrong, weights_faults(checked.part))]
    return checked


def _ask_runtimes(cards: Sequence[Checked]) -> None:
    """By a process of their own room: which runtimes there are, and what each declares, is known nowhere else."""
    from kelp.card.load import shared_settings_faults
    from kelp.card.partial import without

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
        assert checked.part is not None
        answer = told.get(str(checked.path)) or {
            "faults": without(checked.wrong, shared_settings_faults(checked.part)),
            "notes": [f"runtime and its own settings are not checked: {why_not}"],
        }
        checked.faults += [f"{checked.path}: {fault}" for fault in answer["faults"]]
        checked.notes += [f"{checked.path}: {note}" for note in answer["notes"]]
