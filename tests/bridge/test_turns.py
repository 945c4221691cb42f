"""The queue as the scheduler sees it: the first few of each lane, however many runs stand before them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.store import turns
from bridge.store.claims import Claim
from bridge.store.database import Database
from bridge.store.intake import NewRun, _insert
from bridge.store.migrate import upgrade
from bridge.store.tables import runs
from tests.support.postgres import Postgres

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@pytest.fixture
def engine(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path / 'bridge.db'}"
    if kind == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.database().replace("postgresql:", "postgresql+psycopg:")
    database = Database(url)
    upgrade(database.engine)
    yield database.engine
    database.close()


def accept(engine: sa.Engine, *names: str, project: int | None = 1, task: int = 1, priority: int = 0) -> None:
    """Queued runs of these names, in this order: a name is that of the model with the number of the job."""
    rows = []
    for name in names:
        with engine.connect() as connection:
            before = connection.scalar(sa.select(sa.func.count()).select_from(runs)) or 0
        digits = "".join(filter(str.isdigit, name))
        new = NewRun(
            id=name, kind="detect", priority=priority, instance="http://cvat", project_id=project, task_id=task,
            job_id=int(digits), model=name.rstrip("0123456789"), parameters="{}", event="manual", cause="manual",
            caused_by="", created_at=float(before + len(rows)),
        )  # fmt: skip
        rows.append(new.row())
    with engine.begin() as connection:
        assert _insert(connection, rows) == set(names)


def queued(engine: sa.Engine, most: int) -> list[str]:
    with engine.connect() as connection:
        return [run.id for run in turns.queued(connection, most)]


@BOTH
def test_an_empty_queue_has_nobody(engine: sa.Engine, kind: str) -> None:
    assert queued(engine, 3) == []


@BOTH
def test_a_long_queue_of_one_model_hides_no_other(engine: sa.Engine, kind: str) -> None:
    accept(engine, *(f"big{number}" for number in range(1000, 1400)))
    accept(engine, "small1", "big1")
    accept(engine, "big2", project=2)
    accept(engine, "big3", project=None, task=7)
    accept(engine, "big4", project=None, task=8)
    assert queued(engine, 2) == ["big1000", "big1001", "small1", "big2", "big3", "big4"]


@BOTH
def test_batches_come_after_single_jobs(engine: sa.Engine, kind: str) -> None:
    accept(engine, "batch1", priority=1)
    accept(engine, "single2")
    assert queued(engine, 2) == ["single2", "batch1"]


@BOTH
def test_a_busy_job_makes_room_for_the_next_one(engine: sa.Engine, kind: str) -> None:
    accept(engine, "model7", "other7", "model8", "model9")
    with engine.begin() as connection:
        assert turns.take(connection, "other7", "me", "detect-1") == Claim("other7", 1)
    assert queued(engine, 2) == ["model8", "model9"]
    with engine.begin() as connection:
        connection.execute(sa.update(runs).where(runs.c.id == "other7").values(state="completed"))
    assert queued(engine, 2) == ["model7", "model8"]


@BOTH
def test_a_run_is_claimed_once(engine: sa.Engine, kind: str) -> None:
    accept(engine, "model1")
    with engine.begin() as connection:
        assert turns.take(connection, "model1", "me", "detect-1") == Claim("model1", 1)
        assert turns.take(connection, "model1", "you", "detect-1") is None
    with engine.connect() as connection:
        (run,) = turns.active(connection)
    assert (run.id, run.executor, run.state) == ("model1", "me", "running")
