"""Process start until the model is ready and warm, without a server, against a bare script of the same engine."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.row import Row, ratio_of_medians

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "demo" / "weights" / "pth-yolo-coralsegv4.pt"
ROUNDS = 9
# Our side also imports the card's schema and checks the answer's shape; the bare ONNX script reads nothing out of it.
SIDES = (
    (".pt", "bare_torch", "import ultralytics, load, predict once", 1.25, 1.1),
    (".onnx", "bare_onnx", "import onnxruntime, load, run once", 1.5, None),
)


def run() -> list[Row]:
    """A row an engine; its parts are medians of our own processes, in seconds."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": folder}
        for ending, script, against, target, goal in SIDES:
            file = WEIGHTS.with_suffix(ending)
            ours: list[dict[str, float]] = []
            theirs: list[dict[str, float]] = []
            for turn in range(ROUNDS + 1):
                for module, samples in (("model_start", ours), (script, theirs)):
                    parts = _parts(f"benchmarks.yolo.{module}", file, environment)
                    if turn:  # the first one fills the caches
                        samples.append(parts)
            rows.append(
                Row(
                    group="yolo",
                    name=f"{ending}: process start to ready and warm, without a server",
                    value=ratio_of_medians(_totals(ours), _totals(theirs)),
                    target=target,
                    goal=goal,
                    higher_is_better=False,
                    unit="s",
                    ours=_totals(ours),
                    theirs=_totals(theirs),
                    against=against,
                    parts={part: statistics.median(sample[part] for sample in ours) for part in ours[0]},
                )
            )
    return rows


def _parts(module: str, file: Path, environment: dict[str, str]) -> dict[str, float]:
    """Seconds of each part that the module says has ended."""
    before = time.time()
    done = subprocess.run(
        [sys.executable, "-m", module, str(file)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    parts = {}
    for line in done.stdout.splitlines():
        part, _, ended = line.rpartition(" ")
        parts[part] = float(ended) - before
        before = float(ended)
    return parts


def _totals(samples: list[dict[str, float]]) -> list[float]:
    return [sum(sample.values()) for sample in samples]
