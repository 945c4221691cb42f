"""Write-back of 2,000 polygons: the bridge's processor time, and its rate beside one raw request of the same shapes.

The stand-in answers at the speed recorded from a real server; KELP_TEST_CVAT_URL (user, password) names a real one.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import sqlalchemy as sa

from benchmarks.row import Row, ratio_of_medians
from bridge import memory
from bridge.cvat.client import Cvat as BridgeCvat
from bridge.cvat.transport import ACCEPT, CvatAccess, Transport
from bridge.store import progress
from bridge.store.claims import Claim
from bridge.store.database import Database
from bridge.store.intake import Intake, NewRun
from bridge.store.ledger import Book
from bridge.store.migrate import upgrade
from bridge.store.progress import Chunk, FrameResult, Reading
from bridge.store.tables import runs
from bridge.writeback.desk import Desk
from bridge.writeback.sheets import Sheet, sheets_of
from tests.support.cvat import POLYGONS, Cvat, CvatServer, pictures, real_server, stand_in_process

SHAPES, VERTICES, FRAMES = 2000, 30, 8
ROUNDS = 7
CPU_MS = 100.0
RATE = 0.9
LABEL = POLYGONS[0]["name"]


@dataclass
class Samples:
    raw_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    first_cpu_ms: list[float] = field(default_factory=list)
    retry_s: list[float] = field(default_factory=list)
    retry_cpu_ms: list[float] = field(default_factory=list)


def run() -> list[Row]:
    with ExitStack() as stack:
        server = real_server() or stack.enter_context(stand_in_process("--recorded-speed"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kelp-bench-")))
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            samples = runner.run(_measure(server, folder))
    against = "one raw PATCH of the same shapes to the same server"
    which = "a real CVAT" if server.real else "the CVAT stand-in at its recorded speed"
    what = f"{SHAPES:,} polygons of {VERTICES} vertices"
    cpu = "looking first included; what was found is stored already"
    return [
        Row(
            "bridge", f"{what} written to an empty job, rate", ratio_of_medians(samples.raw_s, samples.first_s), RATE,
            True, "s", samples.first_s, samples.raw_s, against=against, note=f"{which}; looking first included",
        ),
        Row(
            "bridge", f"{what} written to an empty job, processor time", _median(samples.first_cpu_ms), CPU_MS, False,
            "ms", samples.first_cpu_ms, kind="absolute", note=f"all threads of the bridge; {cpu}",
        ),
        Row(
            "bridge", f"{what}, a retry that finds half of them there, processor time", _median(samples.retry_cpu_ms),
            CPU_MS, False, "ms", samples.retry_cpu_ms, kind="absolute",
            note=f"a request without an answer, of which half is in the job; {_median(samples.retry_s):.2f} s in all",
        ),
    ]  # fmt: skip


async def _measure(server: CvatServer, folder: Path) -> Samples:
    collected_at = gc.get_threshold()
    cvat = Cvat(server)
    client = BridgeCvat(Transport(CvatAccess(server.url, server.user, server.password)))
    database = Database(f"sqlite:///{folder / 'bridge.db'}")
    raw = httpx.AsyncClient(
        base_url=server.url, auth=(server.user, server.password), timeout=120, trust_env=False,
        headers={"Accept": ACCEPT, "Content-Type": "application/json"},
    )  # fmt: skip
    try:
        upgrade(database.engine)
        database.start()
        project = cvat.project(POLYGONS)
        shapes = _shapes(cvat.labels(project)[LABEL])
        bench = Bench(cvat, client, database, shapes)
        body = json.dumps({"shapes": shapes, "tags": [], "tracks": []}).encode()
        samples = Samples()
        memory.settle()  # as the bridge's process does
        for number in range(1 + ROUNDS):
            jobs = [cvat.task(project, pictures(FRAMES)).jobs[0] for _ in range(3)]
            raw_s = await _send_raw(raw, jobs[0], body)
            first = await bench.first(jobs[1])
            retry = await bench.retry(jobs[2])
            if number:  # the first of all warms everybody up
                samples.raw_s.append(raw_s)
                samples.first_s.append(first[0])
                samples.first_cpu_ms.append(first[1])
                samples.retry_s.append(retry[0])
                samples.retry_cpu_ms.append(retry[1])
        return samples
    finally:
        gc.unfreeze()
        gc.set_threshold(*collected_at)
        await raw.aclose()
        await client.close()
        database.close()
        cvat.close()


async def _send_raw(http: httpx.AsyncClient, job: int, body: bytes) -> float:
    began = time.perf_counter()
    answer = await http.patch(f"/api/jobs/{job}/annotations", params={"action": "create"}, content=body)
    created = answer.raise_for_status().json()["shapes"]
    seconds = time.perf_counter() - began
    if len(created) != SHAPES:
        raise RuntimeError(f"{len(created)} shapes were created")
    return seconds


class Bench:
    """Runs whose shapes are stored, and their write-back. first, retry: (wall seconds, processor milliseconds)."""

    def __init__(self, cvat: Cvat, client: BridgeCvat, database: Database, shapes: Sequence[dict[str, Any]]) -> None:
        self._cvat = cvat
        self._client = client
        self._database = database
        self._shapes = shapes
        self._intake = Intake(database)
        self._bodies: dict[int, list[bytes]] = {frame: [] for frame in range(FRAMES)}
        for shape in shapes:
            self._bodies[shape["frame"]].append(orjson.dumps(shape))
        self._frames = list(self._bodies)

    async def first(self, job: int) -> tuple[float, float]:
        """An empty job: look, write, settle."""
        _, desk = await self._desk(job)
        sheets = self._sheets()
        began, cpu = time.perf_counter(), _cpu_ms()
        await desk.open(await self._client.annotations(job))
        await desk.write(self._frames, sheets)
        await desk.settle(self._frames)
        spent = time.perf_counter() - began, _cpu_ms() - cpu
        self._check(job)
        return spent

    async def retry(self, job: int) -> tuple[float, float]:
        """A chunk that was sent and never answered, half of which is there."""
        claim, desk = await self._desk(job)
        keys = [sheet.key for sheet in self._sheets()]
        sent = Chunk(1, keys, None, time.time() - 600.0, 1)
        await self._database.write(partial(progress.open_chunk, claim=claim, chunk=sent))
        self._cvat.add_shapes(job, self._shapes[: SHAPES // 2])
        began, cpu = time.perf_counter(), _cpu_ms()
        await desk.open()
        await desk.write(self._frames)
        await desk.settle(self._frames)
        spent = time.perf_counter() - began, _cpu_ms() - cpu
        self._check(job)
        return spent

    def _sheets(self) -> list[Sheet]:
        return [sheet for frame, bodies in self._bodies.items() for sheet in sheets_of(frame, bodies, 0)]

    def _check(self, job: int) -> None:
        wanted = sorted((shape["frame"], *shape["points"]) for shape in self._shapes)
        if sorted((shape["frame"], *shape["points"]) for shape in self._cvat.shapes(job)) != wanted:
            raise RuntimeError("the job does not hold what was written")

    async def _desk(self, job: int) -> tuple[Claim, Desk]:
        """A claimed run on `job` that has found everything and written nothing."""
        run_id, instance = f"{job:032d}", "http://cvat"
        new = NewRun(
            id=run_id, kind="detect", priority=0, instance=instance, project_id=None, task_id=None, job_id=job,
            model="reef", parameters="{}", event="update:job", cause="started", caused_by="", created_at=time.time(),
        )  # fmt: skip
        await self._intake.accept(new)
        claim = Claim(run_id, 1)
        reading = Reading({}, frozenset(), frozenset())
        found = [FrameResult(frame, bodies, [0.5] * len(bodies)) for frame, bodies in self._bodies.items()]

        def prepare(connection: sa.Connection) -> None:
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(state="running", epoch=1))
            progress.save_reading(connection, claim, reading, FRAMES, {})
            progress.save_frames(connection, claim, found)

        await self._database.write(prepare)
        desk = Desk(
            self._database,
            self._client,
            claim=claim,
            book=Book(instance, job, "reef"),
            reading=reading,
            defaults={},
            replace=True,
            go_on=_go_on,
        )
        return claim, desk


def _shapes(label: int) -> list[dict[str, Any]]:
    """Polygons of all sizes, spread over the frames, two decimals, as a model's are."""
    random = np.random.default_rng(0)
    turns = np.linspace(0.0, 2 * np.pi, VERTICES, endpoint=False)
    made = []
    for number in range(SHAPES):
        radius = random.uniform(50.0, 400.0, VERTICES)
        points = np.stack([500 + radius * np.cos(turns), 500 + radius * np.sin(turns)], axis=1)
        made.append(
            {
                "type": "polygon", "frame": number * FRAMES // SHAPES, "label_id": label, "source": "auto",
                "points": points.round(2).ravel().tolist(), "occluded": False, "outside": False, "z_order": 0,
                "rotation": 0.0, "attributes": [], "score": 0.5,
            }
        )  # fmt: skip
    return made


async def _go_on() -> None:
    """Nobody stops this run."""


def _cpu_ms() -> float:
    """Of this process with all of its threads, the system's part included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000.0


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def _loop_factory() -> Any:
    """The bridge's event loop."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
