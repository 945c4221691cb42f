"""What a running `kelp up` tells the command line of this machine: a file in the cache, by port.

Files, not an endpoint: only who may write the folder of cards anyway can tell a server what to run.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class UpState:
    """models: the folder of cards; read, faults: of the last reading, by file name."""

    pid: int
    port: int
    models: str
    read: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def state_path(cache: Path, port: int) -> Path:
    return cache / "up" / f"{port}.json"


def log_path(cache: Path, name: str) -> Path:
    """Where the last lines of a model's process, or of the bridge, are kept."""
    return cache / "log" / f"{name}.log"


def write_state(cache: Path, state: UpState) -> Path:
    path = state_path(cache, state.port)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(asdict(state)))
    os.replace(temporary, path)
    return path


def read_state(cache: Path, port: int) -> UpState | None:
    """None where no `kelp up` of this machine and cache has that port, as far as its file says."""
    try:
        state = UpState(**json.loads(state_path(cache, port).read_bytes()))
        os.kill(state.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return state
