"""The tables: made by migrations, by however many processes at once; and what a writer promises."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bridge.store import executors, facts, ledger, progress, runs
from bridge.store.claims import Claim, ClaimLost
from bridge.store.database import Database
from bridge.store.intake import Intake, NewRun
from bridge.store.ledger import Book, Line
from bridge.store.migrate import HEAD, upgrade
from bridge.store.progress import Chunk, FrameResult, Reading
from bridge.store.tables import metadata
from bridge.store.tables import runs as runs_table
from kelp.errors import Conflict
from kelp.settings.process import SettingsError
from tests.support.postgres import Postgres

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@pytest.fixture
def url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.database().replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    upgrade(opened.engine)
    opened.start()
    yield opened
    opened.close()


def new_run(job: int = 1, **changed: Any) -> NewRun:
    fields: dict[str, Any] = {
        "id": uuid.uuid4().hex, "kind": "detect", "priority": 0, "instance": "http://cvat", "project_id": 1,
        "task_id": 1, "job_id": job, "model": "m", "parameters": "{}", "event": "manual", "cause": "manual",
        "caused_by": "", "created_at": time.time(), **changed,
    }  # fmt: skip
    return NewRun(**fields)


def claimed(database: Database, job: int = 1) -> Claim:
    """A run that is ours."""
    run = new_run(job)

    async def make() -> Claim:
        await Intake(database).accept(run)
        changed = sa.update(runs_table).where(runs_table.c.id == run.id)
        await database.write(lambda c: c.execute(changed.values(state="running", epoch=1, executor="me")))
        return Claim(run.id, 1)

    return asyncio.run(make())


def write(database: Database, work: Any) -> Any:
    return asyncio.run(database.write(work, patience_s=5.0))


def read(database: Database, work: Any) -> Any:
    return asyncio.run(database.read(work, patience_s=5.0))


# Migrations


@BOTH
def test_the_migrations_make_the_tables_that_the_code_sees(url: str, kind: str) -> None:
    engine = sa.create_engine(url)
    upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []
        indexes = {index["name"]: index for index in sa.inspect(connection).get_indexes("runs")}
    assert indexes["runs_one_a_job"]["unique"]
    engine.dispose()


def test_the_newest_migration_is_the_one_that_the_code_knows() -> None:
    assert ScriptDirectory(str(ROOT / "bridge" / "store" / "migrations")).get_current_head() == HEAD


@BOTH
def test_several_processes_may_start_at_once(url: str, kind: str) -> None:
    code = (
        "import sys, sqlalchemy as sa\n"
        "from bridge.store.database import _sqlite\n"
        "from bridge.store.migrate import upgrade\n"
        "url = sa.make_url(sys.argv[1])\n"
        "upgrade(_sqlite(url) if url.get_backend_name() == 'sqlite' else sa.create_engine(url))\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    ended = [process.communicate(timeout=60)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0] * 3, ended
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert connection.scalars(sa.text("SELECT version_num FROM alembic_version")).all() == [HEAD]
    engine.dispose()


@BOTH
def test_tables_of_a_newer_release_are_left_alone(url: str, kind: str) -> None:
    engine = sa.create_engine(url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="9999"):
        upgrade(engine)
    engine.dispose()


def test_a_sqlite_file_is_for_one_bridge(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'bridge.db'}"
    first = Database(url)
    with pytest.raises(SettingsError, match="another bridge"):
        Database(url)
    first.close()
    Database(url).close()


# The writer


@BOTH
def test_many_at_once_are_each_written_once(database: Database, kind: str) -> None:
    wanted = [new_run(job) for job in range(60)]

    async def all_twice() -> list[bool]:
        intake = Intake(database)
        return await asyncio.gather(*(intake.accept(run) for run in [*wanted, *wanted]))

    assert asyncio.run(all_twice()) == [True] * 60 + [False] * 60
    assert read(database, runs.count_by_state) == {"queued": 60}


@BOTH
def test_one_that_fails_takes_nothing_of_the_others_with_it(database: Database, kind: str) -> None:
    def break_(connection: sa.Connection) -> None:
        facts.put(connection, "broken", "1")
        raise ValueError("mine alone")

    async def together() -> list[Any]:
        works = [lambda c, n=n: facts.put(c, f"fact {n}", str(n)) for n in range(10)]
        works.insert(5, break_)  # type: ignore[arg-type]
        return await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True)

    results = asyncio.run(together())
    assert [str(r) for r in results if r is not None] == ["mine alone"]
    assert read(database, lambda c: facts.get(c, "broken")) is None
    assert [read(database, lambda c, n=n: facts.get(c, f"fact {n}")) for n in range(10)] == list("0123456789")


def test_what_is_acknowledged_outlives_the_process(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, signal, sys\n"
        "from bridge.store.database import Database\n"
        "from bridge.store.migrate import upgrade\n"
        "from bridge.store import facts\n"
        "database = Database(sys.argv[1]); upgrade(database.engine); database.start()\n"
        "asyncio.run(database.write(lambda c: facts.put(c, 'kept', 'yes')))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    url = f"sqlite:///{tmp_path / 'bridge.db'}"
    subprocess.run([sys.executable, "-c", code, url], cwd=ROOT, timeout=60, check=False)
    database = Database(url)
    database.start()
    assert read(database, lambda c: facts.get(c, "kept")) == "yes"
    database.close()


def test_sqlite_is_set_up_to_keep_what_it_acknowledged(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'bridge.db'}")
    upgrade(database.engine)
    with database.engine.connect() as connection:
        pragmas = {
            name: connection.scalar(sa.text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}  # 2: FULL
    database.close()


# Claims


@BOTH
def test_two_runs_of_one_job_are_never_active_together(database: Database, kind: str) -> None:
    claimed(database, job=7)
    with pytest.raises(sa.exc.IntegrityError):
        claimed(database, job=7)
    claimed(database, job=8)


@BOTH
def test_an_old_claim_may_write_nothing_more(database: Database, kind: str) -> None:
    claim = claimed(database)
    write(database, lambda c: runs.mark_active(c, claim, "waiting", "for the model"))
    assert write(database, lambda c: executors.give_up(c, "me")) == [claim]
    frame = [FrameResult(0, [b"{}"], [0.5])]
    chunk = Chunk(1, [(0, 0)], None, 0.0, 1)
    for work in (
        lambda c: runs.mark_active(c, claim, "running", None),
        lambda c: progress.save_frames(c, claim, frame),
        lambda c: progress.save_reading(c, claim, Reading({}, frozenset(), frozenset()), 1, {}),
        lambda c: progress.open_chunk(c, claim, chunk),
        lambda c: progress.close_chunk(c, claim, chunk),
        lambda c: runs.finish(c, claim, "completed", None),
    ):
        with pytest.raises(ClaimLost):
            write(database, work)
    row = read(database, lambda c: runs.get(c, claim.run_id))
    assert (row.state, row.executor, row.frames_done) == ("queued", None, 0)


@BOTH
def test_who_is_silent_too_long_is_given_up_once(database: Database, kind: str) -> None:
    claim = claimed(database)  # of "me"
    write(database, lambda c: executors.register(c, "me", "nonce"))
    write(database, lambda c: executors.register(c, "other", "another"))
    assert write(database, lambda c: executors.adopt(c, "other", 30.0)) == {}
    assert write(database, lambda c: executors.beat(c, "me", "nonce")) is True
    time.sleep(0.3)
    write(database, lambda c: executors.beat(c, "other", "another"))
    assert write(database, lambda c: executors.adopt(c, "other", 0.2)) == {"me": [claim]}
    assert write(database, lambda c: executors.adopt(c, "other", 0.2)) == {}
    # The silent one finds out, and a process of its name that came later is not mistaken for it.
    assert write(database, lambda c: executors.beat(c, "me", "nonce")) is False
    write(database, lambda c: executors.register(c, "me", "newer"))
    assert write(database, lambda c: executors.beat(c, "me", "nonce")) is False
    assert write(database, lambda c: executors.beat(c, "me", "newer")) is True


# What a run keeps


@BOTH
def test_frames_are_counted_once_however_often_they_are_stored(database: Database, kind: str) -> None:
    claim = claimed(database)
    results = [FrameResult(3, [b'{"a":1}', b'{"t":1}'], [0.25, 0.5], tags=1), FrameResult(4, error="broken")]
    for _ in range(2):
        write(database, lambda c: progress.save_frames(c, claim, results))
    row = read(database, lambda c: runs.get(c, claim.run_id))
    assert (row.frames_done, row.frames_failed, row.shapes_found) == (1, 1, 2)
    stored = read(database, lambda c: progress.load_shapes(c, claim.run_id, [3, 4]))
    assert stored == {3: ([b'{"a":1}', b'{"t":1}'], 1)}
    listed = read(database, lambda c: progress.list_frames(c, claim.run_id, -1, 10))
    assert [(frame.frame, frame.error, frame.scores) for frame in listed] == [(3, None, [0.25, 0.5]), (4, "broken", [])]


@BOTH
def test_what_was_there_first_is_only_taken_from_the_first_reading(database: Database, kind: str) -> None:
    claim = claimed(database)
    first = Reading({"n": 1}, frozenset({5, 2**40}), frozenset({9}))
    later = Reading({"n": 2}, frozenset({5, 6, 7}), frozenset())
    for reading in (first, later):
        write(database, lambda c, r=reading: progress.save_reading(c, claim, r, 1, {}))
    assert read(database, lambda c: progress.load_reading(c, claim.run_id)) == Reading(
        {"n": 2}, first.shapes, first.tags
    )


@BOTH
def test_a_chunk_is_counted_when_it_is_closed_and_only_then(database: Database, kind: str) -> None:
    claim = claimed(database)
    chunk = Chunk(1, [(0, 0), (0, 1), (2, 0)], None, 1.5, 1)
    for _ in range(2):  # a commit whose answer got lost is made again
        write(database, lambda c: progress.open_chunk(c, claim, chunk))
    assert read(database, lambda c: progress.load_chunks(c, claim.run_id)) == [chunk]
    closed = Chunk(1, [(0, 0), (2, 0)], [11, 12], 1.5, 1)
    for _ in range(2):
        write(database, lambda c: progress.close_chunk(c, claim, closed))
    assert read(database, lambda c: progress.load_chunks(c, claim.run_id)) == [closed]
    assert read(database, lambda c: runs.get(c, claim.run_id)).shapes_written == 2


@BOTH
def test_the_ledger_knows_ours_from_other_models(database: Database, kind: str) -> None:
    ours, theirs = Book("http://cvat", 5, "reef"), Book("http://cvat", 5, "other")
    lines = [Line(n, n > 2, n, bytes([n]) * 16, b"content") for n in (1, 2, 3)]
    for _ in range(2):
        write(database, lambda c: ledger.add(c, ours, lines))
    write(database, lambda c: ledger.add(c, theirs, [Line(3, False, 0, b"x" * 16, b"y")]))
    write(database, lambda c: ledger.add(c, Book("http://cvat", 6, "reef"), [Line(9, False, 0, b"x" * 16, b"y")]))
    found, foreign = read(database, lambda c: ledger.read(c, ours))
    assert sorted(found, key=lambda line: line.id) == lines
    assert foreign == {(False, 3)}
    write(database, lambda c: ledger.renumber(c, ours, {1: 101, 2: 1}, is_tag=False))
    write(database, lambda c: ledger.remove(c, ours, [3], is_tag=True))
    found, _ = read(database, lambda c: ledger.read(c, ours))
    assert {(line.id, line.frame) for line in found} == {(101, 1), (1, 2)}


@BOTH
def test_a_finished_run_can_be_asked_for_again(database: Database, kind: str) -> None:
    claim = claimed(database)
    with pytest.raises(Conflict):
        write(database, lambda c: runs.retry(c, claim.run_id, again=False))
    results = [FrameResult(0, [b"{}"], [0.5]), FrameResult(1, error="broken")]
    write(database, lambda c: progress.save_frames(c, claim, results))
    write(database, lambda c: runs.finish(c, claim, "completed_with_errors", "one frame"))
    write(database, lambda c: runs.finish(c, claim, "completed_with_errors", "one frame"))
    assert write(database, lambda c: runs.retry(c, claim.run_id, again=False)) == 2
    row = read(database, lambda c: runs.get(c, claim.run_id))
    assert (row.state, row.attempt, row.frames_done, row.frames_failed, row.reason) == ("queued", 2, 1, 0, None)
    assert read(database, lambda c: progress.finished_frames(c, claim.run_id)) == [(0, 1, None)]


@BOTH
def test_one_of_several_bridges_takes_a_turn(database: Database, kind: str) -> None:
    assert write(database, lambda c: facts.take_turn(c, "prune", 60.0)) is True
    assert write(database, lambda c: facts.take_turn(c, "prune", 60.0)) is False
    assert write(database, lambda c: facts.take_turn(c, "reconcile", 60.0)) is True
    assert write(database, lambda c: facts.take_turn(c, "prune", 0.0)) is True


def test_readers_are_not_held_up_by_the_writer(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'bridge.db'}")
    upgrade(database.engine)
    database.start()
    go = threading.Event()

    async def both() -> str | None:
        slow = asyncio.create_task(database.write(lambda c: (facts.put(c, "a", "1"), go.wait(30))))
        await asyncio.sleep(0.05)
        found = await asyncio.wait_for(database.read(lambda c: facts.get(c, "a")), 10)
        go.set()
        await slow
        return found

    assert asyncio.run(both()) is None
    database.close()
