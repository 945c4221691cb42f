"""The programs that are run on a cluster, each with its output in one raw log."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[3]
_IN_LOG = 20_000  # characters of one output


class CommandFailed(AssertionError):
    """A program ended with another code than 0; the text has its command and what it said."""


class Shell:
    """Runs programs and writes them down in `log`: when, what, how long, how it ended, its output."""

    def __init__(self, log: Path, env: Mapping[str, str] | None = None) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self.env = {**os.environ, **(env or {})}

    def note(self, text: str) -> None:
        """A line of our own."""
        with self._lock:
            self._log.write(f"{_now()} {text}\n")
            self._log.flush()

    def run(
        self,
        *command: str,
        stdin: str | None = None,
        timeout_s: float = 120.0,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        quiet: bool = False,
        cwd: Path = ROOT,
    ) -> str:
        """What it wrote to standard output (and to standard error, where it failed and `check` is off).

        CommandFailed where it fails or takes longer. `quiet`: what succeeds is not logged, for what is polled.
        """
        started = time.monotonic()
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                cwd=cwd,
                env={**self.env, **(env or {})},
                check=False,
            )
            code, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as late:
            code, out, err = -1, _text(late.stdout), f"{_text(late.stderr)}\nnot within {timeout_s:g} s"
        if code or not quiet:
            body = "".join(part[-_IN_LOG:] for part in (stdin or "", out, err))
            self.note(f"$ {' '.join(command)}  [{code}, {time.monotonic() - started:.1f} s]\n{body}")
        if code and check:
            raise CommandFailed(f"{' '.join(command)}: {code}\n{out[-3000:]}{err[-3000:]}")
        return out + err if code else out

    def close(self) -> None:
        self._log.close()


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
