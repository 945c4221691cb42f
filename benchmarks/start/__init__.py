"""From the start of a process until its model is ready and warm."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.row import Row, ratio_of_medians
from benchmarks.start.measure import card_with, kserve_server, our_server, script

ROUNDS = 9


def run() -> list[Row]:
    """The five sides take turns; the first round only fills the file cache."""
    with tempfile.TemporaryDirectory(prefix="kelp-bench-") as name:
        folder = Path(name)
        onnx, torch = card_with(folder, "onnx"), card_with(folder, "pt")
        rounds = [
            (our_server(torch, folder), our_server(onnx, folder), script(torch), script(onnx), kserve_server(onnx))
            for _ in range(1 + ROUNDS)
        ][1:]
    torch_server, onnx_server = [each[0][0] for each in rounds], [each[1][0] for each in rounds]
    torch_script, onnx_script, kserve = ([each[place] for each in rounds] for place in (2, 3, 4))
    return [
        Row(
            "start", "torch: process start to ready and warm", ratio_of_medians(torch_server, torch_script), 1.25,
            False, "s", torch_server, torch_script, goal=1.1, parts=_medians([each[0][1] for each in rounds]),
            against="a bare script of the same engine that imports, loads and predicts once",
        ),
        Row(
            "start", "ONNX: how many times as fast to start as torch", ratio_of_medians(torch_server, onnx_server), 2.0,
            True, "s", onnx_server, torch_server, parts=_medians([each[1][1] for each in rounds]),
            against="the same server with torch",
            note=f"against its own bare script: {ratio_of_medians(onnx_server, onnx_script):.2f}",
        ),
        Row(
            "start", "ONNX: process start to ready and warm", ratio_of_medians(onnx_server, kserve), 1.0, False, "s",
            onnx_server, kserve, goal=0.7, against="a stock kserve server with the same session",
        ),
    ]  # fmt: skip


def _medians(parts: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in parts) for name in parts[0]}
