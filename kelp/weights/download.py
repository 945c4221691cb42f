"""Fetching one remote file into a `.part` that survives broken connections and killed processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from kelp.weights.cache import short_hash
from kelp.weights.errors import Interrupted, WeightsError
from kelp.weights.sources import Source
from kelp.weights.uris import shown

ATTEMPTS = 6  # in a row without a single byte
_FIRST_PAUSE_S = 0.25


def download(
    source: Source, uri: str, part: Path, *, known_content: bool, on_bytes: Callable[[int, int | None], None]
) -> None:
    """Fill `part` with the whole file, going on from what it holds already.

    known_content: a sha256 will prove the result, so that it may be resumed from a server that names no version.
    on_bytes: called with (bytes so far, total or None). Raises WeightsError after `ATTEMPTS` fruitless tries.
    """
    fruitless = 0
    while True:
        before = _size(part)
        try:
            return _transfer(source, uri, part, known_content=known_content, on_bytes=on_bytes)
        except Interrupted as reason:
            fruitless = 0 if _size(part) > before else fruitless + 1
            _pause_or_give_up(fruitless, uri, reason)


def version_of(source: Source, uri: str) -> str | None:
    """The version that the remote file has now, None where its server tells none. Errors as `download`."""
    fruitless = 0
    while True:
        try:
            with source.open(0, None) as opened:
                return opened.version
        except Interrupted as reason:
            fruitless += 1
            _pause_or_give_up(fruitless, uri, reason)


def noted_version(part: Path, uri: str) -> str | None:
    """The version that `part` is of, if it was begun from this very address."""
    try:
        note = json.loads(_note_of(part).read_bytes())
    except (OSError, ValueError):
        return None
    version = note.get("version") if isinstance(note, dict) and note.get("of") == short_hash(uri) else None
    return version if isinstance(version, str) else None


def _pause_or_give_up(fruitless: int, uri: str, reason: Interrupted) -> None:
    if fruitless >= ATTEMPTS:
        raise WeightsError(f"{shown(uri)}: {reason} ({ATTEMPTS} tries in a row)") from None
    time.sleep(_FIRST_PAUSE_S * 2**fruitless)


def forget(part: Path) -> None:
    """Drop `part` and what is known of it."""
    part.unlink(missing_ok=True)
    _note_of(part).unlink(missing_ok=True)


def _transfer(
    source: Source, uri: str, part: Path, *, known_content: bool, on_bytes: Callable[[int, int | None], None]
) -> None:
    held = _size(part)
    version = noted_version(part, uri)
    if held and version is None and not known_content:
        held = 0  # nothing says that it is still the same file
    with source.open(held, version) as opened:
        _note_of(part).write_text(json.dumps({"of": short_hash(uri), "version": opened.version}))
        with part.open("r+b" if part.exists() else "w+b") as file:
            file.truncate(opened.offset)
            file.seek(opened.offset)
            done = opened.offset
            on_bytes(done, opened.total)
            for chunk in opened.chunks:
                file.write(chunk)
                done += len(chunk)
                on_bytes(done, opened.total)
    if opened.total is not None and done != opened.total:
        raise Interrupted(f"the transfer ended after {done} of {opened.total} bytes")


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _note_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")
