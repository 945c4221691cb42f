"""What a card says of freshly trained weights: their sha256 and their measured quality."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

_WEIGHTS = {".pt", ".pth", ".onnx", ".npy", ".py"}


def sha256(path: Path) -> str:
    """The file's sha256, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def update_card(card: Path, weights: Sequence[Path], quality: dict[str, Any]) -> None:
    """Renews each file's `sha256` and the closing `quality` block of a card; every other line, comments too, stays.

    One file's sha256 stands on a line of its own, several stand beside their names: `{file: NAME, sha256: …}`. Raises
    ValueError if one is not there, or something stands after the quality block.
    """
    text = card.read_text()
    for file in weights:
        before = r"^\s+" if len(weights) == 1 else rf"\bfile: {re.escape(file.name)}, "
        text, count = re.subn(rf"(?m)({before}sha256: )[0-9a-f]{{64}}\b", rf"\g<1>{sha256(file)}", text)
        if count != 1:
            raise ValueError(f"{card}: expected one sha256 of {file.name}, found {count}")
    head, _, tail = text.partition("\nquality:")
    if re.search(r"(?m)^\S", tail.partition("\n")[2]):
        raise ValueError(f"{card}: expected quality as the last block")
    block = yaml.safe_dump({"quality": quality}, sort_keys=False, allow_unicode=True, width=100)
    card.write_text(f"{head}\n{block}")


def write_sums(folder: Path) -> None:
    """Writes SHA256SUMS of all weights below `folder`, in the form `sha256sum --check` reads."""
    files = (
        file for file in folder.rglob("*") if file.suffix in _WEIGHTS and file.relative_to(folder).parts[0] != "runs"
    )
    lines = sorted((str(file.relative_to(folder)), sha256(file)) for file in files)
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in lines))
