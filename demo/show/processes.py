"""The demo's processes: each with a log of its own, all ended at the end, none left behind."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType

import httpx
import psutil

STOP_S = 20.0
_ANY = random.SystemRandom()


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports of `host` that nobody listens on now.

    Below those that the system gives to outgoing connections (from 32768), one of which might take one meanwhile.
    """
    found: list[int] = []
    while len(found) < count:
        port = _ANY.randrange(20_000, 32_000)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind((host, port))
            found += [port] if port not in found else []
    return found


class Processes:
    """Starts processes and remembers every descendant that was ever seen; a context manager that ends them all."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._seen: dict[int, psutil.Process] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> None:
        """Starts `command`; what it prints goes to NAME.log. Kelp's settings of this shell are not passed on."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("KELP_")}
        with (self._logs / f"{name}.log").open("wb") as log:
            self._started[name] = subprocess.Popen(
                command, env={**inherited, **variables}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def wait_until(self, what: str, holds: Callable[[], bool], seconds: float = 60.0) -> None:
        """Polls until `holds`; a server that does not answer is asked again.

        RuntimeError where a process ended meanwhile, or it took too long.
        """
        deadline = time.monotonic() + seconds
        while not _holds_now(holds):
            for name, process in self._started.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.tail(name)}")
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self.tail(name)}" for name in self._started)
                raise RuntimeError(f"{what}: not within {seconds:.0f} s\n{logs}")
            self.look()
            time.sleep(0.05)

    def tail(self, name: str, lines: int = 12) -> str:
        """The last lines of a process's log."""
        return "\n".join((self._logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def look(self) -> None:
        """Remembers the descendants that live now."""
        for process in self._started.values():
            try:
                parent = psutil.Process(process.pid)
                for child in [parent, *parent.children(recursive=True)]:
                    self._seen[child.pid] = child
            except psutil.NoSuchProcess:
                continue

    def runs(self, module: str) -> bool:
        """Whether a descendant that lives now runs the Python module."""
        self.look()
        return any(module in _arguments(process) for process in self._seen.values() if process.is_running())

    def stop(self) -> list[str]:
        """Ends everything, last started first; command lines of descendants that were still there afterwards."""
        self.look()
        for process in reversed(self._started.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._started.clear()
        # Children end a moment after the parent that told them to.
        _, alive = psutil.wait_procs([p for p in self._seen.values() if p.is_running()], timeout=3)
        left = [_command(p) for p in alive if p.status() != psutil.STATUS_ZOMBIE]
        for leftover in alive:
            leftover.kill()
        self._seen.clear()
        return left


def answers(url: str) -> bool:
    """Whether `url` answers 200 now."""
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _holds_now(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except httpx.HTTPError:
        return False


def _arguments(process: psutil.Process) -> list[str]:
    try:
        arguments: list[str] = process.cmdline()
    except psutil.Error:  # it ended just now
        return []
    return arguments


def _command(process: psutil.Process) -> str:
    try:
        return f"{process.pid}: {' '.join(process.cmdline())}"
    except psutil.Error:
        return str(process.pid)
