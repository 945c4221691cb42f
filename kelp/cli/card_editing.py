"""A card whose weights are replaced: in its own words where that can be done, else written anew."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kelp.card import parse_card
from kelp.card.load import CardError, read_mapping
from kelp.cli.card_writing import uri_from
from kelp.cli.exits import UsageError


def with_weights(card: Path, file: Path, sha256: str, more: Mapping[str, Any]) -> str:
    """The text of the card at `card` with `file` as its role `model`, and the fields `more` (None takes one away).

    Comments stay where nothing but the file's name and sha256 changes. UsageError where the weights do not lie on this
    machine.
    """
    text = card.read_text(encoding="utf-8")
    fields = read_mapping(text, source=str(card))
    old = fields["weights"]
    if "://" in str(old.get("uri")):
        raise UsageError(
            f"{card}: its weights lie at {old['uri']}: fetch the checkpoint, and write its path there first"
        )
    place = card.resolve().parent
    new = _weights(old, file, sha256, place)
    wanted = {**fields, "weights": new, **{name: value for name, value in more.items() if value is not None}}
    for name in [name for name, value in more.items() if value is None]:
        wanted.pop(name, None)
    kept = _replaced(text, old, new)
    for name, value in reversed(list(more.items())):
        kept = _with_line(kept, name, value)
    try:
        if read_mapping(kept, source="card") == wanted:
            return kept
    except CardError:
        pass  # the words are such that a replacement breaks them
    import yaml

    return yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=120)


def write_card(path: Path, text: str, first: Callable[[], object] = lambda: None) -> None:
    """The whole file or none. CardError where the text is no card, UsageError where it cannot be written.

    first: what has to be done before the card takes its place, once nothing else can go wrong with it.
    """
    parse_card(text, source=str(path))
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        first()
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _weights(old: Mapping[str, Any], file: Path, sha256: str, place: Path) -> dict[str, Any]:
    if not old.get("files"):
        return {**old, "uri": uri_from(file, place), "sha256": sha256}
    folder = (place / Path(str(old["uri"])).expanduser()).resolve()
    if not file.is_relative_to(folder):
        raise UsageError(f"{file}: lies outside of {folder}, the folder of the card's weights")
    entry = {**old["files"]["model"], "file": file.relative_to(folder).as_posix(), "sha256": sha256}
    return {**old, "files": {**old["files"], "model": entry}}


def _replaced(text: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    before, after = (entry["files"]["model"] if entry.get("files") else entry for entry in (old, new))
    name = "file" if old.get("files") else "uri"
    known = bool(before.get("sha256"))
    sha256 = str(after["sha256"])

    def put(found: re.Match[str]) -> str:
        value = f"{found['head']}{after[name]}{found['tail']}"
        if known:
            return value
        # On a line of its own where that is how the fields stand, else behind a comma.
        lead = f"\n{found['indent']}" if found["indent"] is not None else ", "
        return f"{value}{lead}sha256: {sha256}"

    quoted = re.escape(str(before[name]))
    line = rf"(?m)^(?P<head>(?P<indent> +){name}: *[\"']?){quoted}(?P<tail>[\"']?)(?= *(#|$))"
    inside = rf"(?P<indent>(?!))?(?P<head>\b{name}: *[\"']?){quoted}(?P<tail>[\"']?)(?= *[,}}])"
    text, count = re.subn(line, put, text, count=1)
    if not count:
        text = re.sub(inside, put, text, count=1)
    return text.replace(str(before["sha256"]), sha256, 1) if known else text


def _with_line(text: str, name: str, value: Any) -> str:
    """The field `name`, a plain value, as one line: replaced, taken away, or put behind the card's name."""
    line = f"{name}: {value}\n" if value is not None else ""
    replaced, count = re.subn(rf"(?m)^{name}:.*\n", line, text, count=1)
    return replaced if count or not line else re.sub(r"(?m)^(name:.*\n)", lambda m: m[1] + line, text, count=1)
