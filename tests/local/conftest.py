"""`kelp up` as a real process on free ports, and what is left of it afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

ROOT = Path(__file__).parents[2]


class Up:
    """One running `kelp up`; `events` is what it said, parsed."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)
        self.events: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.rest_port = self.wait_for("listening", protocol="rest")["port"]
        self.grpc_port = self.wait_for("listening", protocol="grpc")["port"]
        self.url = f"http://127.0.0.1:{self.rest_port}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.raw.append(line.decode("utf-8", "replace"))
            try:
                self.events.append(json.loads(line))
            except ValueError:
                continue

    def wait_for(self, event: str, count: int = 1, timeout_s: float = 60, **fields: Any) -> dict[str, Any]:
        """The `count`th event of that name with these fields."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [e for e in list(self.events) if e.get("event") == event and fields.items() <= e.items()]
            return len(found) >= count

        try:
            eventually(there, timeout_s, until=lambda: self.process.poll() is not None)
        except AssertionError:
            raise AssertionError(f"no {event} {fields}; it said:\n{''.join(self.raw)}") from None
        return found[count - 1]

    def state(self, model: str) -> str:
        return self.card(model)["state"]

    def card(self, model: str) -> dict[str, Any]:
        return self.http.get(f"/v2/models/{model}").json()["parameters"]["card"]

    def infer(self, model: str, content: Any = b"{}", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(f"/v2/models/{model}/infer", content=content, headers=named)

    def children(self) -> list[psutil.Process]:
        return [p for p in psutil.Process(self.process.pid).children(recursive=True) if p.status() != "zombie"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join(5)
        return code


def eventually(check: Callable[[], bool], timeout_s: float = 30, until: Callable[[], bool] | None = None) -> None:
    """Poll until `check` holds; AssertionError after `timeout_s`, or when `until` holds first."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        assert until is None or not until(), "it cannot happen any more"
        time.sleep(0.02)


def write_card(folder: Path, name: str, behaviour: dict[str, Any] | None = None, **more: Any) -> None:
    """A card of a small model; `resources` of 1Gi, so that budgets are easily told. `behaviour`: the stand-in's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.bin").write_bytes(b"reef")
    card = {
        "name": name,
        "runtime": "numpy",
        "task": "segment",
        "weights": {"uri": "weights.bin"},
        "labels": [{"name": "red"}, {"name": "green"}, {"name": "blue"}],
        "resources": {"requests": {"memory": "1Gi"}, "limits": {}},
        **more,
    }
    (folder / f"{name}.json").write_text(json.dumps(behaviour or {}))
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(card))


Start = Callable[..., Up]


@contextmanager
def starter(folder: Path) -> Iterator[Start]:
    """Starts `kelp up` over the cards in `folder/models`; afterwards it and all it started are gone."""
    started: list[Up] = []

    def start(command: list[str] | None = None, **environment: str) -> Up:
        variables = {
            **{k: v for k, v in os.environ.items() if not k.startswith("KELP_")},
            "KELP_MODELS": str(folder / "models"),
            "KELP_CACHE": str(folder / "cache"),
            "KELP_V2_PORT": "0",
            "KELP_V2_GRPC_PORT": "0",
            "KELP_LOG_LEVEL": "debug",
            **environment,
        }
        up = Up(command or [sys.executable, "-m", "tests.local.up_with_stand_in"], variables)
        started.append(up)
        return up

    yield start
    for up in started:
        family = up.children() if up.process.poll() is None else []
        if up.process.poll() is None:
            up.stop()
        up.http.close()
        _, alive = psutil.wait_procs(family, timeout=10)
        for process in alive:
            process.kill()
        assert not alive, f"left running: {alive}"


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Start]:
    with starter(tmp_path) as start:
        yield start
