"""Recordings of single requests and of what became of them, for tests to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.cvat import Cvat

RECORDINGS = Path(__file__).parents[1] / "recordings"
RECORDED_BASE = "http://127.0.0.1:8080"


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def as_recorded(cvat: Cvat, text: str) -> Any:
    """Our JSON with the address and the user of the recordings."""
    return json.loads(text.replace(cvat.url, RECORDED_BASE).replace(f'"{cvat.user}"', '"admin"'))
