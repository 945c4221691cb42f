"""What a card says of freshly trained weights: their sha256 and their measured quality."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import yaml


def sha256(path: Path) -> str:
    """The file's sha256, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def update_card(card: Path, weights: Path, quality: dict[str, Any]) -> None:
    """Renews `sha256` and the closing `quality` block of a card; every other line, comments too, stays.

    Raises ValueError if the card has not one sha256 line, or something stands after its quality block.
    """
    text = card.read_text()
    text, count = re.subn(r"(?m)^(\s+sha256: )[0-9a-f]{64}$", rf"\g<1>{sha256(weights)}", text)
    head, _, tail = text.partition("\nquality:")
    if count != 1 or re.search(r"(?m)^\S", tail.partition("\n")[2]):
        raise ValueError(f"{card}: expected one sha256, and quality as the last block")
    block = yaml.safe_dump({"quality": quality}, sort_keys=False, allow_unicode=True, width=100)
    card.write_text(f"{head}\n{block}")


def write_sums(folder: Path, files: list[Path]) -> None:
    """Writes SHA256SUMS, in the form `sha256sum --check` reads."""
    (folder / "SHA256SUMS").write_text("".join(f"{sha256(file)}  {file.name}\n" for file in sorted(files)))
