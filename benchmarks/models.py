"""What each model costs: one picture of 1920² after another, by `kelp bench` against its predictor as a process.

The shipped cards with their small weights, and YOLO11 n and m at their full size with random weights. On whatever
device there is; the one demand is that a picture takes no longer than the card gives a request.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import yaml

from benchmarks.row import Row
from demo.reef import DEMO_SEEDS, render
from kelp.card import Card, load_card, load_cards
from kelp.cli.trial import on_trial

ROOT = Path(__file__).parents[1]
CARDS = ROOT / "environments" / "models"
FULL_SIZE = ("yolo11n-seg", "yolo11m-seg")
SIDE, PICTURES, RUNS, WARM_UP = 1920, 3, 10, 2
_GI = 1 << 30


def run() -> list[Row]:
    """A row a model."""
    with tempfile.TemporaryDirectory(prefix="kelp-models-") as name:
        work = Path(name)
        pictures = work / "pictures"
        pictures.mkdir()
        for seed in DEMO_SEEDS[:PICTURES]:
            cv2.imwrite(str(pictures / f"{seed}.jpg"), render(seed, SIDE).image[..., ::-1])
        return [_measured(path, card, pictures, note) for path, card, note in _models(work)]


def _models(work: Path) -> Iterator[tuple[Path, Card, str]]:
    for path in sorted(CARDS.glob("*.yaml")):
        yield path, load_card(path), "as shipped"
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(work / "ultralytics"))
    for plan in FULL_SIZE:
        from ultralytics import YOLO

        model = YOLO(f"{plan}.yaml", task="segment")
        model.ckpt = {"train_args": {"imgsz": 640, "task": "segment"}}
        model.save(work / f"{plan}.pt")
        path = work / f"{plan}.yaml"
        card: dict[str, Any] = {"name": plan, "runtime": "yolo", "task": "segment", "weights": {"uri": f"{plan}.pt"}}
        path.write_text(yaml.safe_dump(card), encoding="utf-8")
        yield path, load_cards(work)[plan], "full size, random weights, at 640"


def _measured(path: Path, card: Card, pictures: Path, note: str) -> Row:
    with on_trial(path, card.model_name, card.start_timeout) as trial:
        command = [sys.executable, "-m", "kelp.cli", "bench", "-o", "json"]
        command += ["--function-url", f"{trial.url}/v2/models/{card.model_name}", "--test-images", str(pictures)]
        command += ["--num-runs", str(RUNS), "--warmup", str(WARM_UP)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False)
        if done.returncode:
            raise RuntimeError(f"{card.model_name}: {done.stderr.strip()}")
        told = json.loads(done.stdout)
        peak, gpu, start_s = trial.peak_bytes(), trial.gpu_bytes(), trial.start_s
    device = f", {gpu / _GI:.2f} GiB of the GPU's" if gpu else ""
    return Row(
        group="models",
        name=f"{card.model_name}, a picture of {SIDE}²",
        value=told["p50_ms"] / 1000,
        target=card.limits.request_seconds,
        higher_is_better=False,
        unit="s",
        ours=[told[f"{point}_ms"] / 1000 for point in ("min", "p50", "p90", "max")],
        kind="absolute",
        note=f"{note}: {told['throughput_img_per_min']:.0f} pictures a minute; {peak / _GI:.2f} GiB of memory at its "
        f"peak{device}; ready after {start_s:.1f} s",
    )
