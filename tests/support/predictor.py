"""A predictor as a real process, for tests that talk to it over the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from demo.show.processes import free_ports

ROOT = Path(__file__).parents[2]
NUMPY_RUNTIME = {"KELP_RUNTIMES": "numpy=tests.support.numpy_model:create"}


def numpy_card(name: str = "numpy-reef", **fields: Any) -> dict[str, Any]:
    """A card of the numpy family; `fields` go over its own."""
    labels = [{"name": colour, "type": "polygon"} for colour in ("red", "green", "blue")]
    card = {"name": name, "title": "Numpy reef", "runtime": "numpy", "task": "segment", "labels": labels}
    return {**card, "weights": {"uri": "weights.bin"}, **fields}


class Predictor:
    """`python -m predictors.serving` on free ports, its log in memory. A context manager; leaves no process behind."""

    def __init__(
        self,
        folder: Path,
        card: Mapping[str, Any] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        ready: bool = True,
    ) -> None:
        """`ready=False` returns as soon as the ports are known, or the process has ended."""
        self.card = dict(card or numpy_card())
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights.bin").write_bytes(b"weights of a model that needs none")
        (folder / "card.yaml").write_text(yaml.safe_dump(self.card))
        ports_file, self._log_path = folder / "ports.json", folder / "log.jsonl"
        ports_file.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "predictors.serving", str(folder / "card.yaml"),
            "--port", "0", "--grpc-port", "0", "--announce", str(ports_file), *arguments,
        ]  # fmt: skip
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **NUMPY_RUNTIME, **(env or {})}, stderr=log, stdout=log
            )
        self.ports: dict[str, int] = {}
        try:
            wait_for(lambda: ports_file.exists() or self.process.poll() is not None, 60)
            if ports_file.exists():
                self.ports = json.loads(ports_file.read_text())
            if ready:
                wait_for(self._ready_or_ended, 60)
                assert self.process.poll() is None, self.log_text()
        except BaseException:
            self.kill()
            raise

    def _ready_or_ended(self) -> bool:
        if self.process.poll() is not None:
            return True
        try:
            return self.get("/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    @property
    def name(self) -> str:
        version = self.card.get("version")
        return f"{self.card['name']}-{version}" if version else str(self.card["name"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['rest']}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.ports['grpc']}"

    @property
    def infer_url(self) -> str:
        return f"{self.url}/v2/models/{self.name}/infer"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30)

    def log_text(self) -> str:
        return self._log_path.read_text(errors="replace")

    def log(self) -> list[dict[str, Any]]:
        """Its log so far; every line of it must be a JSON object."""
        return [json.loads(line) for line in self.log_text().splitlines()]

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric now, summed over the labels that are not given."""
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(f'{k}="{v}"' in head for k, v in labels.items()):
                total += float(value)
        return total

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free now, for programs that cannot be told to take any."""
    return free_ports(1, host)[0]


def wait_for(condition: Any, timeout_s: float = 20.0, every_s: float = 0.01) -> None:
    """Return once `condition()` holds; AssertionError after `timeout_s`."""
    ends = time.monotonic() + timeout_s
    while time.monotonic() < ends:
        if condition():
            return
        time.sleep(every_s)
    raise AssertionError(f"not within {timeout_s:g} s")
