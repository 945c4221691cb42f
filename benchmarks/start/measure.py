"""Starts a process and waits until it is ready. Clocks of all processes agree: Linux's monotonic one."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import yaml

from benchmarks.serving.subjects import ROOT, demo_card, free_port

DEADLINE_S = 120.0
_EVERY_S = 0.002


def card_with(folder: Path, suffix: str) -> Path:
    """The demo's card with its weights as `.onnx` or `.pt`."""
    card = yaml.safe_load(demo_card().read_text())
    weights = (demo_card().parent / card["weights"]["uri"]).resolve().with_suffix(f".{suffix}")
    card["weights"] = {"uri": str(weights)}
    path = folder / f"{suffix}.yaml"
    path.write_text(yaml.safe_dump(card))
    return path


def our_server(card: Path, folder: Path) -> tuple[float, dict[str, float]]:
    """Seconds until it is ready, and its parts: until it listens, and making, loading and warming the model."""
    port, log = free_port(), folder / "log.jsonl"
    arguments = ["-m", "predictors.serving", str(card), "--port", str(port), "--grpc-port", str(free_port())]
    began = time.time()
    with log.open("wb") as stream:
        seconds = _until_ready(arguments, port, "/v2/health/ready", stream)
    lines = {line["message"]: line for line in map(json.loads, log.read_text().splitlines())}
    listening = datetime.fromisoformat(lines["listening"]["time"]).timestamp() - began
    return seconds, {"listening_s": listening, **{k: v for k, v in lines["ready"].items() if k.endswith("_s")}}


def kserve_server(card: Path) -> float:
    """Seconds until a stock kserve server with an onnxruntime session of the same file is ready."""
    port = free_port()
    weights = yaml.safe_load(card.read_text())["weights"]["uri"]
    arguments = [
        "-m",
        "benchmarks.start.kserve_onnx",
        "--http_port",
        str(port),
        "--grpc_port",
        str(free_port()),
        weights,
    ]
    return _until_ready(arguments, port, "/v2/models/onnx/ready", subprocess.DEVNULL)


def script(card: Path) -> float:
    """Seconds until a script of the same engine, without Kelp, has imported, loaded and predicted once."""
    weights = yaml.safe_load(card.read_text())["weights"]["uri"]
    module = "bare_torch" if weights.endswith(".pt") else "bare_onnx"
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.yolo.{module}", weights],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, timeout=DEADLINE_S,
    )  # fmt: skip
    return float(done.stdout.split()[-1]) - began


def _until_ready(arguments: list[str], port: int, path: str, log: IO[Any] | int) -> float:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=os.environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL
    )
    try:
        while time.perf_counter() - began < DEADLINE_S and process.poll() is None:
            if _is_ready(port, path):
                return time.perf_counter() - began
            time.sleep(_EVERY_S)
        raise RuntimeError(f"not ready: {' '.join(arguments)}")
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _is_ready(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
