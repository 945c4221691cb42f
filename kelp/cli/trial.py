"""A model on trial: its predictor as a process of its own, apart from everything that runs, measured while it works."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelp.errors import KelpError, NotReady

_NOT_FOR_MODELS = ("KELP_CVAT_", "KELP_WEBHOOK_", "KELP_API_TOKEN", "KELP_V2_TOKEN", "KELP_DATABASE_URL")
_LOOK_S = 0.05
_STOP_S = 20.0


@dataclass(slots=True)
class Trial:
    """A predictor that answers at `url`. start_s: from its process to its readiness."""

    url: str
    start_s: float
    process: subprocess.Popen[bytes]
    log: Path

    def peak_bytes(self) -> int:
        """The most memory that the process has held at once; 0 where the system does not tell."""
        try:
            text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return _resident_bytes(self.process.pid)
        line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), "")
        return int(line.split()[1]) * 1024 if line else _resident_bytes(self.process.pid)

    def gpu_bytes(self) -> int:
        """Memory of the GPUs in use, as the predictor's own metrics tell; 0 where there is none."""
        import httpx

        try:
            text = httpx.get(f"{self.url}/metrics", timeout=10, trust_env=False).text
        except httpx.HTTPError:
            return 0
        lines = (line for line in text.splitlines() if line.startswith("kelp_gpu_memory_bytes{"))
        return int(sum(float(line.rpartition(" ")[2]) for line in lines))

    def complaints(self) -> list[str]:
        """What its log has said at level error, and lines that are no JSON."""
        found = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                found.append(line[:200])
                continue
            if isinstance(entry, dict) and str(entry.get("level", "")).lower() in {"error", "critical"}:
                found.append(str(entry.get("error") or entry.get("message") or entry.get("event")))
        return found


@contextlib.contextmanager
def on_trial(card: Path, name: str, patience_s: float) -> Iterator[Trial]:
    """Serves the card until the block ends. NotReady with the process's last words where it does not start."""
    with tempfile.TemporaryDirectory(prefix="kelp-trial-") as work:
        announced, log = Path(work, "ports"), Path(work, "log")
        command = [sys.executable, "-m", "predictors.serving", str(card), "--host", "127.0.0.1", "--port", "0"]
        command += ["--no-grpc", "--announce", str(announced), "--log-format", "json", "--log-level", "info"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_MODELS)}
        begun = time.monotonic()
        with log.open("wb") as written:
            process = subprocess.Popen(command, env=environment, stdout=written, stderr=written)
        try:
            port = _port(process, announced, log, begun + patience_s)
            trial = Trial(f"http://127.0.0.1:{port}", 0.0, process, log)
            _wait_ready(trial, name, begun + patience_s)
            trial.start_s = time.monotonic() - begun
            yield trial
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(process: subprocess.Popen[bytes], announced: Path, log: Path, ends: float) -> int:
    while True:
        try:
            return int(json.loads(announced.read_text())["rest"])
        except (OSError, ValueError, KeyError):
            _alive(process, log, ends)
            time.sleep(_LOOK_S)


def _wait_ready(trial: Trial, name: str, ends: float) -> None:
    import httpx

    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{trial.url}/v2/models/{name}/ready", timeout=5, trust_env=False).status_code == 200:
                return
        _alive(trial.process, trial.log, ends)
        time.sleep(_LOOK_S)


def _alive(process: subprocess.Popen[bytes], log: Path, ends: float) -> None:
    if process.poll() is not None:
        raise NotReady(f"its process has ended with {process.returncode}: {_last_words(log)}")
    if time.monotonic() > ends:
        raise NotReady("it is not ready in time (start_timeout of the card)")


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    for line in reversed(lines):
        try:
            entry: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("error"):
            return str(entry["error"])
    return lines[-1][:300] if lines else "it said nothing"


def _resident_bytes(pid: int) -> int:
    try:
        import psutil

        return int(psutil.Process(pid).memory_info().rss)
    except (ImportError, KelpError, OSError):
        return 0
