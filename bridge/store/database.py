"""The database: SQLite in one file, or PostgreSQL. Whoever writes has turns, a few read; the same calls for both."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import sqlalchemy as sa

from bridge.store.writer import DatabaseGone, Work, Writer, patiently
from kelp.settings.process import SettingsError

T = TypeVar("T")
READERS = 4
CHECKPOINT_SECONDS = 5.0
SLACK_SECONDS = 0.5
# Of each connection, so many statements are kept prepared, each some 15 kB: of the usual 128 most would be lists of ids
# that have another length every time.
SQLITE_STATEMENTS = 32


class Database:
    """Opened once a process; `close` it at the end. Functions of a connection run in threads of its own."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._lock: IO[str] | None = None
        self._stop = threading.Event()
        if self.is_sqlite:
            self._lock = _lock_file(self.url)
            self.engine = _sqlite(self.url)
        else:
            self.engine = _postgres(self.url)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="kelp-reader")
        self._writer: Writer | None = None
        self._aside: Writer | None = None
        self._checkpoints: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write, once the tables are there."""
        self._writer = Writer(self.engine)
        self._aside = self._writer if self.is_sqlite else Writer(self.engine)
        if self.is_sqlite:
            self._checkpoints = threading.Thread(target=self._checkpoint, name="kelp-checkpoint", daemon=True)
            self._checkpoints.start()

    async def write(self, work: Work[T], *, patience_s: float = 60.0, aside: bool = False) -> T:
        """Run `work` in a transaction and return its result once that is durable; see `Writer`.

        aside: not behind what runs write, where the database has room for two that write (SQLite has not).
        """
        writer = self._aside if aside else self._writer
        assert writer is not None
        return await _within(asyncio.wrap_future(writer.submit(work, patience_s=patience_s)), patience_s)

    async def read(self, work: Work[T], *, patience_s: float = 60.0) -> T:
        """Run `work` on a connection of its own, outside the writer's queue. DatabaseGone as for `write`."""
        deadline = time.monotonic() + patience_s

        def attempt() -> T:
            with self.engine.connect() as connection:
                return work(connection)

        found = asyncio.get_running_loop().run_in_executor(self._readers, patiently, attempt, deadline)
        return await _within(found, patience_s)

    def close(self) -> None:
        self._stop.set()
        for writer in filter(None, (self._aside, self._writer)):
            writer.close()
        self._readers.shutdown(wait=True)
        if self._checkpoints is not None:
            self._checkpoints.join(timeout=30)
        self.engine.dispose()  # SQLite's last connection takes the write-ahead log with it
        if self._lock is not None:
            self._lock.close()

    def _checkpoint(self) -> None:
        """Move the write-ahead log into the file beside the writer: inside a commit it would hold up everybody."""
        connection = sqlite3.connect(str(self.url.database), isolation_level=None)
        with contextlib.closing(connection):
            while not self._stop.wait(CHECKPOINT_SECONDS):
                with contextlib.suppress(sqlite3.OperationalError):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


async def _within(result: asyncio.Future[T], patience_s: float) -> T:
    """`result`, or DatabaseGone: without a database others, with more patience, may stand before it in the queue."""
    try:
        return await asyncio.wait_for(result, patience_s + SLACK_SECONDS)
    except TimeoutError:
        raise DatabaseGone("the database does not answer") from None


def now(connection: sa.Connection) -> float:
    """The database's own clock: bridges on several machines compare their heartbeats by it."""
    if connection.dialect.name == "sqlite":
        return float(connection.scalar(sa.text("SELECT (julianday('now') - 2440587.5) * 86400.0")) or 0.0)
    return float(connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())")) or 0.0)


def lock_until_commit(connection: sa.Connection, name: str) -> None:
    """Hold `name` among all bridges until the transaction ends; SQLite's writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        key = {"name": f"kelp:{name}"}
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), key)


def _lock_file(url: sa.URL) -> IO[str]:
    """SQLite is for one bridge: a second one on the same file is refused, and told who is there."""
    path = Path(str(url.database)).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(f"{path}.lock", "a+", encoding="utf-8")  # noqa: SIM115 (held until the process ends)
    except OSError as error:
        raise SettingsError(f"KELP_DATABASE_URL: {path}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise SettingsError(f"KELP_DATABASE_URL: {path} is in use by another bridge (pid {holder or '?'})") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _sqlite(url: sa.URL) -> sa.Engine:
    with contextlib.closing(sqlite3.connect(str(url.database), isolation_level=None)) as first:
        # These belong to the file. Said on every connection they would wait for the writer.
        first.execute("PRAGMA busy_timeout=30000")
        first.execute("PRAGMA auto_vacuum=INCREMENTAL")
        first.execute("PRAGMA journal_mode=WAL")
    options = {"check_same_thread": False, "cached_statements": SQLITE_STATEMENTS}
    engine = sa.create_engine(url, pool_size=READERS + 1, max_overflow=0, connect_args=options)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        for pragma in (
            "busy_timeout=30000", "synchronous=FULL", "wal_autocheckpoint=20000", "foreign_keys=ON",
            "journal_size_limit=67108864",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # The writer takes its lock at once; readers see one moment of the file.
        reads = threading.current_thread().name.startswith("kelp-reader")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _postgres(url: sa.URL) -> sa.Engine:
    options = {
        "application_name": "kelp-bridge",
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    # A connection that a restarted server closed is noticed as it is used, and `patiently` goes on with a new one:
    # to ask each time whether it is still there would be a fourth of all that is said to the server.
    return sa.create_engine(url, pool_size=READERS + 2, pool_timeout=10, connect_args=options)
