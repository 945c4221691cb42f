"""The file beside ours in which DBOS keeps its tables, where the database is SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bridge.store.database import SQLITE_STATEMENTS
from bridge.store.prune import give_back


def file_of(url: sa.URL) -> Path:
    return Path(f"{url.database}.workflows")


def engine_of(file: Path) -> sa.Engine:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as first:
        first.execute("PRAGMA busy_timeout=30000")
        first.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file only
    engine = sa.create_engine(f"sqlite:///{file}", connect_args={"cached_statements": SQLITE_STATEMENTS})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        # What it loses in a power cut is done again: the truth about runs stands in our own file.
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def shrink(url: sa.URL) -> None:
    """Give some free pages back to the file system, now or, if somebody writes for long, the next time."""
    if url.get_backend_name() == "sqlite" and file_of(url).exists():
        opened = contextlib.closing(sqlite3.connect(file_of(url), isolation_level=None))
        with opened as connection, contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            give_back(connection)
            connection.execute("COMMIT")
