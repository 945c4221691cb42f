"""What stands before a TensorRT engine in a file of ultralytics: its metadata.

Format: 4 bytes, little-endian, the length; so many bytes of JSON; the engine (ultralytics' `export/engine.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from predictors.common.errors import WeightsError

_LONGEST = 16 << 20


def read_header(file: Path) -> tuple[int, dict[str, Any]]:
    """Where the engine begins, and the metadata. WeightsError where there are none: labels and task are not known."""
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(4), "little")
            text = opened.read(length) if 0 < length <= _LONGEST else b""
            rest = bool(opened.read(1))
    except OSError as error:
        raise WeightsError(f"{file.name}: cannot be read: {error.strerror or error}") from None
    try:
        metadata = json.loads(text) if text and len(text) == length else None
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict) or not rest:
        raise WeightsError(
            f"{file.name}: not a whole TensorRT engine with ultralytics' metadata before it, which tell of labels and "
            "task: make it with `kelp export`"
        )
    return 4 + length, metadata
