"""Image files that a command was given, by name or by folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kelp.cli.exits import UsageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files, folders replaced by their images, in order. UsageError: there are none, or one cannot be read."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(f"{path}: no such file")
    if not found:
        raise UsageError(f"no images ({', '.join(sorted(SUFFIXES))}) in {', '.join(map(str, paths))}")
    for file in found:
        if not os.access(file, os.R_OK):  # a link that leads nowhere, or somebody else's file
            raise UsageError(f"{file}: it cannot be read")
    return found
