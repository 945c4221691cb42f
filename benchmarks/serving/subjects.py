"""The processes that are measured: Kelp's server, bare loops, a bare ASGI application, kserve's and LitServe's servers.

Each is a real process, started, warmed and ended here.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from demo.show.processes import free_ports
from kelp.card import Card, load_card

ROOT = Path(__file__).parents[2]
NOTHING = {"KELP_RUNTIMES": "nothing=benchmarks.serving.nothing:create"}
START_S = 120.0


class Subject:
    """A child process; a context manager. `port` is where it listens, if it does."""

    def __init__(self, arguments: list[str], *, port: int = 0, env: Mapping[str, str] | None = None) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT, env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        # Workers may outlive the process that made them (LitServe's do, spinning): the whole session ends here.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def ask(self, line: str = "") -> list[float]:
        """Send a line to its standard input; the numbers that it answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return [float(part) for part in self.process.stdout.readline().split()]

    def wait_for(self, path: str) -> Subject:
        """Until `path` answers 200."""
        ends = time.monotonic() + START_S
        while time.monotonic() < ends and self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return self
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.02)
        raise RuntimeError(f"not ready within {START_S:g} s: {self.process.args}")

    def cpu_s(self) -> float:
        """Processor seconds of the process and its living children so far."""
        import psutil

        parent = psutil.Process(self.process.pid)
        return sum(sum(p.cpu_times()[:2]) for p in (parent, *parent.children(recursive=True)))


def kelp_server(card: Path, folder: Path) -> Subject:
    """`python -m predictors.serving`, ready."""
    announced = folder / "ports.json"
    announced.unlink(missing_ok=True)
    arguments = ["-m", "predictors.serving", str(card), "--port", "0", "--no-grpc", "--announce", str(announced)]
    subject = Subject(arguments, env=NOTHING)
    ends = time.monotonic() + START_S
    while not announced.exists():
        if subject.process.poll() is not None or time.monotonic() > ends:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    subject.port = json.loads(announced.read_text())["rest"]
    return subject.wait_for("/v2/health/ready")


def loop(card: Path, *pictures: Path) -> Subject:
    """The same predictor in a loop of its own, warm; `ask` runs it once or for a while (`benchmarks.serving.loop`)."""
    subject = Subject(["-m", "benchmarks.serving.loop", str(card), *map(str, pictures)], env=NOTHING)
    assert subject.process.stdout is not None
    if subject.process.stdout.readline() != "ready\n":
        raise RuntimeError("the bare loop did not start")
    return subject


def bare_asgi() -> Subject:
    port = free_port()
    return Subject(["-m", "benchmarks.serving.bare_asgi", str(port)], port=port).wait_for("/")


def stock_kserve() -> Subject:
    port = free_port()
    arguments = ["-m", "benchmarks.serving.stock_kserve", "--http_port", str(port), "--enable_grpc", "false"]
    return Subject(arguments, port=port).wait_for("/v2/models/nothing/ready")


def litserve(card: Path, batch: int) -> Subject:
    port = free_port()
    arguments = ["-m", "benchmarks.serving.lit", str(card), str(port), str(batch)]
    return Subject(arguments, port=port, env=NOTHING).wait_for("/health")


def demo_card() -> Path:
    return ROOT / "environments" / "models" / "pth-yolo-coralsegv4.yaml"


def full_size_card(folder: Path) -> Path:
    """A card of a network of yolo11n-seg's full shape with random weights, as ONNX, at 640 pixels."""
    from ultralytics import YOLO

    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    weights = folder / "full.pt"
    YOLO("yolo11n-seg.yaml").save(weights)
    exported = Path(YOLO(weights).export(format="onnx", imgsz=640, dynamic=True, simplify=False, device="cpu"))
    return write_card(folder / "full.yaml", name="full", runtime="yolo", task="segment", weights={"uri": str(exported)})


def write_card(path: Path, **fields: Any) -> Path:
    path.write_text(yaml.safe_dump(fields))
    return path


def card_of(path: Path) -> Card:
    return load_card(path)


def free_port() -> int:
    return free_ports(1)[0]
