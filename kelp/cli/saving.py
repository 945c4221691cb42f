"""Where pictures with results drawn on them go: never over a picture that was given."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kelp.cli.exits import UsageError
from kelp.errors import KelpError


def places_for(files: Sequence[Path], folder: Path | None, suffix: str | None = None) -> list[Path] | None:
    """A place below `folder`, which is made, for each of `files`; None where none was given. suffix: of all of
    them, else as each file's own.

    UsageError before anything is written: where a place is one of `files`, under whatever name, or a file beside them,
    and where `folder` is none or cannot be written to.
    """
    if folder is None:
        return None
    places = _named(files, folder, suffix)
    _spare(files, places, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"--save {folder}: expected a folder, and a file is there") from None
    except OSError as error:
        raise UsageError(f"--save {folder}: cannot be written to: {error.strerror}") from None
    return places


def write_picture(place: Path, encoded: bytes) -> None:
    """`encoded` as the file at `place`, whole or not at all; a link there is replaced, what it points to is kept.
    KelpError where it cannot be written."""
    try:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".kelp-") as apart:
            whole = Path(apart) / place.name
            whole.write_bytes(encoded)
            whole.replace(place)
    except OSError as error:
        raise KelpError(f"{place}: cannot be written: {error.strerror}") from None


def _named(files: Sequence[Path], folder: Path, suffix: str | None) -> list[Path]:
    """The files' own names; a number goes behind one that is taken."""
    taken: set[str] = set()
    places = []
    for path in files:
        name, number = path.stem, 1
        while name in taken:
            number += 1
            name = f"{path.stem}-{number}"
        taken.add(name)
        places.append(folder / f"{name}{suffix or ('.png' if path.suffix.lower() == '.png' else '.jpg')}")
    return places


def _spare(files: Sequence[Path], places: Sequence[Path], folder: Path) -> None:
    given = {_identity(path) for path in files}
    beside = {path.resolve().parent for path in files} | {path.parent.resolve() for path in files}
    for place in places:
        found = _identity(place)
        if found is None:
            continue
        if found in given:
            raise UsageError(f"--save {folder}: {place} is one of the images, and stays as it is: name another folder")
        if place.parent.resolve() in beside:
            raise UsageError(f"--save {folder}: {place} is there already, beside the images: name another folder")
        if place.is_dir():
            raise UsageError(f"--save {folder}: {place} is a folder, and a picture was to be written there")


def _identity(path: Path) -> tuple[int, int] | None:
    """Of the file itself, however it is called; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
