"""Which processes this `kelp up` has started, on disk, so that the next one finds those that a crash left over.

A record names child and owner by pid AND start time, because pids are used again. A child whose owner lives is never
touched: two `kelp up` on one machine share the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_GRACE_S = 5.0
_SAME_START_S = 2.0  # the system reckons start times from a boot time that a clock correction may move


@dataclass(frozen=True, slots=True)
class Record:
    """name: the model's; started: epoch seconds as psutil tells them; module: what its command line must name."""

    name: str
    pid: int
    started: float
    module: str
    owner: int
    owner_started: float


class PidFiles:
    """The records of one `kelp up`, in a folder that all of them share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = psutil.Process()
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, pid: int, module: str) -> Path:
        """Record a child just started; gone already is no error."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.Error:
            started = 0.0
        record = Record(name, pid, started, module, self._owner.pid, self._owner.create_time())
        path = self._folder / f"{name}-{pid}.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(record)))
        os.replace(temporary, path)
        return path

    def end_left_overs(self) -> list[Record]:
        """End the children of owners that are gone, and drop records of processes that are. Returns those ended."""
        left: list[tuple[Record, psutil.Process]] = []
        for path in sorted(self._folder.glob("*.json")):
            record = _read(path)
            if record is not None and _alive(record.owner, record.owner_started) is not None:
                continue
            child = _alive(record.pid, record.started) if record is not None else None
            if record is not None and child is not None and _runs(child, record.module):
                left.append((record, child))
            path.unlink(missing_ok=True)
        end_trees(child for _, child in left)
        return [record for record, _ in left]


def end_trees(roots: Iterable[psutil.Process], grace_s: float = _GRACE_S) -> None:
    """SIGTERM to the processes and all below them, SIGKILL to what is left after `grace_s`."""
    family: list[psutil.Process] = []
    for root in roots:
        with contextlib.suppress(psutil.Error):
            family += [root, *root.children(recursive=True)]
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.terminate()
            process.resume()  # one that was stopped hears it only then
    _, alive = psutil.wait_procs(family, timeout=grace_s)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=grace_s)


def _read(path: Path) -> Record | None:
    try:
        return Record(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _alive(pid: int, started: float) -> psutil.Process | None:
    """The process `pid` if it is the one that started then."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < _SAME_START_S and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    return process if same else None


def _runs(process: psutil.Process, module: str) -> bool:
    try:
        return module in process.cmdline()
    except psutil.Error:
        return False
