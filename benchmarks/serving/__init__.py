"""What the server adds to the model: latency, uploads, throughput, health under load."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.row import Row
from benchmarks.serving import health, latency, throughput, upload
from benchmarks.serving.subjects import demo_card, full_size_card


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="kelp-bench-") as name:
        folder = Path(name)
        cards = {"the demo's model": demo_card(), "yolo11n-seg's shape at 640": full_size_card(folder)}
        rows = [row for what, card in cards.items() for row in latency.rows(what, card, folder)]
        rows += upload.rows(folder)
        rows += throughput.rows("the demo's model", cards["the demo's model"], folder)
        rows += health.rows(folder)
    return rows
