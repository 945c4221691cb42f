"""The database stays bounded: old runs go with everything stored for them, the ledger only with its job."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.cvat.errors import CvatGone, CvatUnavailable
from bridge.reconcile import pruner as pruner_module
from bridge.reconcile.pruner import Pruner
from bridge.settings import BridgeSettings
from bridge.store import ledger, progress, tables, workflows
from bridge.store.claims import Claim
from bridge.store.database import Database
from bridge.store.intake import Intake, NewRun
from bridge.store.ledger import Book, Line
from bridge.store.migrate import upgrade
from bridge.store.progress import Chunk, FrameResult, Reading

INSTANCE = "http://cvat.example"
DAY = 86400.0


class World:
    """A database with runs of several ages, a CVAT that knows some jobs, and a DBOS that notes what it forgets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = Database(f"sqlite:///{folder / 'bridge.db'}")
        upgrade(self.database.engine)
        self.database.start()
        self.forgotten: list[str] = []
        self.gone: dict[int, Exception] = {}
        settings = BridgeSettings(cvat_url=INSTANCE, retention_days=30)
        services: Any = SimpleNamespace(settings=settings, database=self.database, cvat=self)
        self.pruner = Pruner(services)

        async def forget(names: list[str]) -> None:
            self.forgotten += names

        monkeypatch.setattr(pruner_module.DBOS, "delete_workflows_async", forget)

    async def job(self, job_id: int) -> None:
        if job_id in self.gone:
            raise self.gone[job_id]

    async def run(self, name: str, state: str, age_days: float, epoch: int = 2) -> None:
        """A run that ended so long ago, with shapes and a ledger."""
        job = sum(map(ord, name))
        run_id = name.ljust(32, "0")
        now = time.time()
        new = NewRun(run_id, "detect", 0, INSTANCE, 1, 1, job, "m", "{}", "manual", "manual", "", now - age_days * DAY)
        await Intake(self.database).accept(new)
        claim = Claim(run_id, epoch)
        of_run = tables.runs.c.id == run_id

        def fill(connection: sa.Connection) -> None:
            connection.execute(sa.update(tables.runs).where(of_run).values(state="running", epoch=epoch))
            progress.save_reading(connection, claim, Reading({}, frozenset(), frozenset()), 1, {})
            progress.save_frames(connection, claim, [FrameResult(0, [b"{}" * 500] * 20, [0.5] * 20)])
            progress.open_chunk(connection, claim, Chunk(1, [(0, 0)], None, now, 1))
            ended = now - age_days * DAY if state in tables.FINISHED else None
            connection.execute(sa.update(tables.runs).where(of_run).values(state=state, finished_at=ended))
            ledger.add(connection, Book(INSTANCE, job, "m"), [Line(1, False, 0, b"h" * 16, b"c")])

        await self.database.write(fill)

    async def count(self, table: sa.Table) -> int:
        found = await self.database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(table)))
        return int(found or 0)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = World(tmp_path, monkeypatch)
    yield made
    made.database.close()


def test_finished_runs_go_after_the_retention_time_and_the_ledger_stays(world: World) -> None:
    async def scene() -> None:
        await world.run("a", "completed", 31, epoch=3)
        await world.run("b", "failed", 40)
        await world.run("c", "completed", 29)
        await world.run("d", "queued", 90)
        await world.run("e", "running", 90)
        assert await world.pruner.prune_runs() == 2
        left = await world.database.read(lambda c: sorted(c.scalars(sa.select(tables.runs.c.id))))
        assert [run_id[0] for run_id in left] == ["c", "d", "e"]
        for table in (tables.frames, tables.chunks, tables.readings):
            assert await world.count(table) == 3
        assert await world.count(tables.ledger) == 5
        # Every claim had a workflow.
        assert sorted(name.lstrip("ab0") for name in world.forgotten) == [".1", ".1", ".2", ".2", ".3"]
        assert await world.pruner.prune_runs() == 0

    asyncio.run(scene())


def test_what_was_freed_goes_back_to_the_file_system(world: World) -> None:
    async def scene() -> None:
        for number in range(40):
            await world.run(f"{number:02}", "completed", 31)
        pages = sa.text("PRAGMA page_count")
        before = await world.database.read(lambda c: int(c.scalar(pages) or 0))
        await world.pruner.prune_runs()
        after = await world.database.read(lambda c: int(c.scalar(pages) or 0))
        assert after < before / 2

    asyncio.run(scene())


def test_the_ledger_of_a_job_goes_once_the_job_is_gone_from_cvat(world: World) -> None:
    async def scene() -> None:
        await world.run("a", "completed", 1)
        await world.run("b", "completed", 1)
        await world.run("c", "completed", 1)
        await world.database.write(lambda c: c.execute(sa.update(tables.ledger_jobs).values(seen_at=0.0)))
        world.gone = {ord("a"): CvatGone("404"), ord("c"): CvatUnavailable("down")}
        with pytest.raises(CvatUnavailable):  # nobody is taken for gone because CVAT is down
            await world.pruner.prune_ledger()
        world.gone.pop(ord("c"))
        await world.pruner.prune_ledger()
        jobs = await world.database.read(lambda c: sorted(c.scalars(sa.select(tables.ledger.c.job_id))))
        assert jobs == [ord("b"), ord("c")]
        assert await world.count(tables.ledger_jobs) == 2
        # Each was looked for; none is again today.
        world.gone = {ord("b"): CvatGone("404")}
        assert await world.pruner.prune_ledger() == 0

    asyncio.run(scene())


def test_the_workflows_file_gives_back_what_is_free(tmp_path: Path) -> None:
    url = sa.make_url(f"sqlite:///{tmp_path / 'bridge.db'}")
    file = workflows.file_of(url)
    engine = workflows.engine_of(file)

    def size() -> int:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.stat().st_size

    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE outputs (text TEXT)"))
        connection.execute(sa.text("INSERT INTO outputs VALUES (:text)"), [{"text": "x" * 3000}] * 200)
    full = size()
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM outputs"))
    workflows.shrink(url)
    assert size() < full / 10
    engine.dispose()
