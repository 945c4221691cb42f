"""The cards of a folder, each with the file that its predictor will read; and what has changed there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from kelp.card import Card, load_card
from kelp.card.load import CardError

_SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class CardFile:
    card: Card
    path: Path


@dataclass(frozen=True, slots=True)
class Folder:
    """One reading. cards: by the model's name; read: file name → sha256 of its text, of all that were read; faults:
    file name → what is wrong with it."""

    cards: dict[str, CardFile] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def checked(found: Folder, folder: Path) -> Folder:
    """`found` if all of it can be used. CardError names file and field, or the folder that holds no card."""
    if found.faults:
        raise CardError("\n".join(found.faults.values()))
    if not found.cards:
        raise CardError(f"{folder}: holds no model card (*.yaml)")
    return found


def read_folder(folder: Path) -> Folder:
    """Card by card: one that cannot be used hides no other. CardError where the folder itself cannot be read."""
    found = Folder()
    for path in _files(folder):
        try:
            found.read[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
            card = load_card(path)
        except FileNotFoundError:
            continue  # gone since it was listed
        except (CardError, OSError) as error:
            found.faults[path.name] = str(error)
            continue
        name = card.model_name
        if name in found.cards:
            found.faults[path.name] = f"{path}: name: '{name}' is already described by {found.cards[name].path}"
        else:
            found.cards[name] = CardFile(card, path.resolve())
    return found


def look_of(folder: Path) -> tuple[tuple[object, ...], ...]:
    """Changes whenever a card file does: cheap enough to be asked every second."""
    looks = []
    try:
        files = _files(folder)
    except CardError:
        return ()
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            continue
        looks.append((path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(looks)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES and not p.name.startswith("."))
    except OSError:
        raise CardError(f"{folder}: expected a folder of model cards") from None
