"""The bridge's memory and its database after many runs: neither may grow with their number.

Every run is whole: a signed webhook, a job of one frame, a model's answer that differs from the last, a shape written
and the earlier one deleted. KELP_BENCH_RUNS shortens it (10,000); it stops after 15 minutes in any case.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.memory.trivial_v2 import LABEL, MODEL, SIDE, TrivialV2
from benchmarks.row import Row
from tests.support.bridge import BridgeProcess
from tests.support.cvat import SECRET, Cvat, pictures, stand_in_process

RECORDED = Path(__file__).parents[2] / "tests" / "recordings" / "deliveries" / "016_update-job_ok.json"
RUNS = int(os.environ.get("KELP_BENCH_RUNS", "10000"))
LONGEST_S = 900.0
JOBS = 12
# Short, so that what is pruned and what is added have found their balance by the first mark.
RETENTION_S = 10.0
AHEAD = 12
LOOKS = 100
GROWTH = 1.05
# The number of runs within the retention time, and so the size, follows the machine's speed of the moment.
SIZE_GROWTH = 1.25


@dataclass
class Samples:
    """By runs ended so far: resident bytes of the bridge, and bytes of its files. seconds, cpu_s: of all runs."""

    runs: list[int] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: float = 0.0

    def around(self, run: int, of: list[float]) -> float:
        """The median of the five samples nearest to that run."""
        nearest = sorted(range(len(self.runs)), key=lambda index: abs(self.runs[index] - run))[:5]
        return statistics.median(of[index] for index in nearest)


def run() -> list[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kelp-bench-")))
        server = stack.enter_context(stand_in_process())
        model = stack.enter_context(TrivialV2())
        cvat = Cvat(server)
        stack.callback(cvat.http.close)
        project = cvat.project([{"name": LABEL, "type": "rectangle"}])
        jobs = cvat.task(project, pictures(JOBS, SIDE, SIDE), segment_size=1).jobs
        env = {"KELP_LOG_LEVEL": "warning", "KELP_RETENTION_DAYS": repr(RETENTION_S / 86400)}
        with BridgeProcess(folder, cvat=server, v2_url=model.url, env=env) as bridge:
            samples = _drive(bridge, folder, jobs)
            shapes = {job: len(cvat.shapes(job)) for job in jobs}
    if set(shapes.values()) != {1}:
        raise RuntimeError(f"a job should hold the one shape of its last run: {shapes}")
    return _rows(samples)


def _rows(samples: Samples) -> list[Row]:
    last = samples.runs[-1]
    first = last // 10
    memory = samples.around(last, samples.memory), samples.around(first, samples.memory)
    files = samples.around(last, samples.files), samples.around(first, samples.files)
    cpu_ms = samples.cpu_s / last * 1000
    speed = f"{last:,} whole runs in {samples.seconds:.0f} s, {cpu_ms:.0f} ms of the bridge's processor each"
    against = f"itself at run {first:,}"
    return [
        Row(
            "bridge", f"memory of the bridge at run {last:,}", memory[0] / memory[1], GROWTH, False, "MB",
            _mb(samples.memory), [memory[1] / 1e6], against=against,
            note=f"resident, {memory[0] / 1e6:.1f} MB then and {memory[1] / 1e6:.1f} MB before; {speed}",
        ),
        Row(
            "bridge", f"size of the bridge's database at run {last:,}", files[0] / files[1], SIZE_GROWTH, False, "MB",
            _mb(samples.files), [files[1] / 1e6], against=against,
            note=f"SQLite, runs kept for {RETENTION_S:g} s; {files[0] / 1e6:.2f} MB then and {files[1] / 1e6:.2f} MB "
            "before, write-ahead logs left out",
        ),
    ]  # fmt: skip


def _drive(bridge: BridgeProcess, folder: Path, jobs: tuple[int, ...]) -> Samples:
    """Have the bridge do RUNS runs, some always waiting; look at it as they end."""
    samples = Samples()
    process = psutil.Process(bridge.process.pid)
    deliveries = _deliveries(jobs)
    url = bridge.webhook_url(f"model_name={MODEL}")
    began, cpu_s = time.monotonic(), sum(process.cpu_times()[:2])
    every = max(1, RUNS // LOOKS)
    sent = ended = 0
    while ended < RUNS and time.monotonic() - began < LONGEST_S:
        while sent < RUNS and sent - ended < AHEAD:
            body, headers = next(deliveries)
            answer = bridge.http.post(url, content=body, headers=headers)
            if answer.status_code != 202:
                raise RuntimeError(f"a webhook was answered {answer.status_code}: {answer.text}")
            sent += 1
        time.sleep(0.25)  # each look is some milliseconds of the bridge's own time
        if bridge.process.poll() is not None:
            raise RuntimeError(f"the bridge ended\n{bridge.tail()}")
        ended = _ended(bridge)
        if ended >= every * (len(samples.runs) + 1) or ended >= RUNS:
            samples.runs.append(ended)
            samples.memory.append(float(process.memory_info().rss))
            samples.files.append(float(sum(f.stat().st_size for f in _files(folder))))
            samples.seconds = time.monotonic() - began
            samples.cpu_s = sum(process.cpu_times()[:2]) - cpu_s
            for state in ("failed", "completed_with_errors"):
                if bad := bridge.runs(state=state, limit=1):
                    raise RuntimeError(f"a run ended as {state}: {bad[0]['reason']}")
    if not samples.runs:
        raise RuntimeError(f"no run ended within {LONGEST_S:g} s\n{bridge.tail()}")
    return samples


def _deliveries(jobs: tuple[int, ...]) -> Iterator[tuple[bytes, dict[str, str]]]:
    """A person starts one job after another, again and again."""
    payload: dict[str, Any] = json.loads(json.loads(RECORDED.read_text(encoding="utf-8"))["raw_body"])
    number = 0
    while True:
        payload["job"] |= {"id": jobs[number % len(jobs)], "updated_date": f"2026-01-01T00:00:00.{number:06d}Z"}
        body = json.dumps(payload).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        yield body, {"X-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
        number += 1


def _ended(bridge: BridgeProcess) -> int:
    lines = (line.rpartition(" ") for line in bridge.metrics().splitlines())
    return sum(round(float(value)) for name, _, value in lines if name.startswith("kelp_run_duration_seconds_count"))


def _files(folder: Path) -> list[Path]:
    """Of the bridge's own database and the workflows' beside it."""
    return [path for path in folder.glob("bridge.db*") if not path.name.endswith(("-wal", "-shm", ".lock"))]


def _mb(samples: list[float]) -> list[float]:
    return [round(value / 1e6, 2) for value in samples]
