"""Webhooks accepted in an open loop, on SQLite and on PostgreSQL, alone and while runs are executed.

KELP_BENCH_SECONDS shortens the load (30 s).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from benchmarks.row import Row
from tests.support.bridge import BridgeProcess
from tests.support.cvat import SECRET, Cvat, stand_in_process
from tests.support.loop import LABELS, reef
from tests.support.postgres import Postgres, programs
from tests.support.predictor import Predictor

ROOT = Path(__file__).parents[2]
RATE = 300
SECONDS = float(os.environ.get("KELP_BENCH_SECONDS", "30"))
JOBS = 24
QUIET_MS, BUSY_MS = 20.0, 200.0
# A port that nobody listens on: runs are accepted, none gets anywhere.
NOBODY = "http://127.0.0.1:9"


def run() -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="kelp-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        databases: dict[str, Postgres | None] = {"SQLite": None}
        if programs() is not None:
            databases["PostgreSQL"] = stack.enter_context(postgres())
        for what, cluster in databases.items():
            rows.append(_quiet(what, folder / f"{what}-quiet", cluster))
            rows += _busy(what, folder / f"{what}-busy", cluster)
    if "PostgreSQL" not in databases:
        rows[0] = replace(rows[0], note=f"{rows[0].note}; PostgreSQL is not installed here, and not measured")
    return rows


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A cluster of its own, gone afterwards."""
    binaries = programs()
    assert binaries is not None
    # Its user must be able to enter the folder.
    folder = Path(tempfile.mkdtemp(prefix="kelp-bench-postgres-"))
    folder.chmod(0o755)
    try:
        cluster = Postgres(folder, binaries)
        try:
            yield cluster
        finally:
            cluster.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _quiet(what: str, folder: Path, cluster: Postgres | None) -> Row:
    """No run gets anywhere: CVAT is away."""
    with Predictor(folder / "model") as model, _bridge(folder, cluster, cvat_url=NOBODY, v2_url=model.url) as bridge:
        sent = _load(bridge, f"model_name={model.name}", list(range(1, 1001)))
        lost = _lost(sent, bridge.database)
    return Row(
        "bridge", f"webhooks accepted, {what}, p99", _p99(sent), QUIET_MS, False, "ms", sent["latencies_ms"],
        kind="absolute", note=_note(sent, lost), parts=_parts(sent),
    )  # fmt: skip


def _busy(what: str, folder: Path, cluster: Postgres | None) -> list[Row]:
    """Every webhook is a run on a real job, and as many as may are executed meanwhile."""
    with stand_in_process() as server, Predictor(folder / "model") as model, _closing(Cvat(server)) as cvat:
        project = cvat.project(LABELS)
        jobs = list(cvat.task(project, reef(JOBS), segment_size=1).jobs)
        with _bridge(folder, cluster, cvat=server, v2_url=model.url) as bridge:
            sent = _load(bridge, f"model_name={model.name}", jobs)
            done = bridge.metrics()
            lost = _lost(sent, bridge.database)
    executed = _executed(done)
    note = f"{_note(sent, lost)}; {executed} runs were executed meanwhile"
    return [
        Row(
            "bridge", f"webhooks accepted while runs are executed, {what}, p99", _p99(sent), BUSY_MS, False, "ms",
            sent["latencies_ms"], kind="absolute", note=note, parts=_parts(sent),
        ),
        Row(
            "bridge", f"webhooks lost while runs are executed, {what}", lost, 0, False, "webhooks", [float(lost)],
            note="sent, without a row in the bridge's table of runs afterwards",
        ),
    ]  # fmt: skip


class _Bridge(BridgeProcess):
    database: str


@contextmanager
def _bridge(folder: Path, cluster: Postgres | None, **options: Any) -> Iterator[_Bridge]:
    folder.mkdir(parents=True, exist_ok=True)
    url = cluster.database() if cluster else f"sqlite:///{folder / 'bridge.db'}"
    env = {"KELP_DATABASE_URL": url, "KELP_LOG_LEVEL": "info"}
    with _Bridge(folder, env=env, **options) as bridge:
        bridge.database = url.replace("postgresql://", "postgresql+psycopg://", 1)
        bridge.wait_log("ready")
        yield bridge


@contextmanager
def _closing(cvat: Cvat) -> Iterator[Cvat]:
    try:
        yield cvat
    finally:
        cvat.http.close()  # the stand-in ends with its projects


def _load(bridge: BridgeProcess, query: str, jobs: list[int]) -> dict[str, Any]:
    """What the sender, a process of its own, tells; and the bridge's processor seconds meanwhile."""
    time.sleep(2.0)  # the bridge has read the list of models, and settled
    given = {"url": bridge.webhook_url(query), "secret": SECRET, "rate": RATE, "seconds": SECONDS, "jobs": jobs}
    process = psutil.Process(bridge.process.pid)
    before = sum(process.cpu_times()[:2])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.webhooks.sender"],
        cwd=ROOT, input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS + 90,
    )  # fmt: skip
    sent: dict[str, Any] = json.loads(done.stdout)
    sent["cpu_s"] = sum(process.cpu_times()[:2]) - before
    return sent


def _lost(sent: dict[str, Any], database: str) -> int:
    """Of what was sent, how many are not in the table of runs: answered as accepted or not at all."""
    engine = sa.create_engine(database)
    try:
        with engine.connect() as connection:
            there = set(connection.scalars(sa.text("SELECT id FROM runs")))
    finally:
        engine.dispose()
    return len(sent["latencies_ms"]) - len(there.intersection(sent["runs"]))


def _p99(sent: dict[str, Any]) -> float:
    return _quantile(sent, 0.99)


def _quantile(sent: dict[str, Any], share: float) -> float:
    ordered = sorted(sent["latencies_ms"])
    return float(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)])


def _parts(sent: dict[str, Any]) -> dict[str, float]:
    quantiles = {f"p{share:g}": _quantile(sent, share / 100) for share in (50, 90, 99, 99.9)}
    cpu_ms = sent["cpu_s"] * 1000 / len(sent["latencies_ms"])
    return {**quantiles, "longest": max(sent["latencies_ms"]), "bridge's processor time a webhook": cpu_ms}


def _note(sent: dict[str, Any], lost: int) -> str:
    codes = ", ".join(f"{count} × {code}" for code, count in sent["codes"].items())
    return f"open loop, {RATE}/s for {SECONDS:g} s from another process, signed; answered {codes}; {lost} lost"


def _executed(metrics: str) -> int:
    lines = (line.rpartition(" ") for line in metrics.splitlines())
    return sum(round(float(value)) for name, _, value in lines if name.startswith("kelp_run_duration_seconds_count"))
