"""The last lines that each process has logged, in files: `kelp logs` reads them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from kelp.local.state import log_path

_LARGEST = 8 << 20
"""Bytes of a file; then it is put aside, in place of the one put aside before."""


class KeptLogs:
    """What cannot be written is not kept: logging stops no model."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._files: dict[str, BinaryIO] = {}

    def line(self, source: str, line: str) -> None:
        with contextlib.suppress(OSError):
            file = self._files.get(source) or self._open(source)
            if file.tell() > _LARGEST:
                file.close()
                path = log_path(self._cache, source)
                os.replace(path, path.with_suffix(".log.1"))
                file = self._open(source)
            file.write(line.encode("utf-8", "replace") + b"\n")

    def _open(self, source: str) -> BinaryIO:
        path = log_path(self._cache, source)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = self._files[source] = path.open("ab", buffering=0)
        return file
