"""Letting go of what is old: finished runs with their stored shapes, and the ledger of jobs that are gone."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from bridge.store.claims import Claim
from bridge.store.tables import is_finished, ledger, ledger_jobs, runs

RUNS_AT_ONCE = 200
PAGES_AT_ONCE = 1000

_DELETE = sa.delete(runs).where(runs.c.id == sa.bindparam("run"), is_finished)


def old_runs(connection: sa.Connection, before: float) -> list[Claim]:
    """Some finished runs that ended before that time, with their last claim."""
    query = (
        sa.select(runs.c.id, runs.c.epoch)
        .where(is_finished, runs.c.finished_at < before)
        .order_by(runs.c.finished_at)
        .limit(RUNS_AT_ONCE)
    )
    return [Claim(row.id, row.epoch) for row in connection.execute(query)]


def delete_runs(connection: sa.Connection, claims: list[Claim]) -> None:
    """Delete runs that are still finished, and with them what was stored for them; never the ledger."""
    if claims:
        connection.execute(_DELETE, [{"run": claim.run_id} for claim in claims])


def shrink(connection: sa.Connection) -> None:
    """Give some free pages back to the file system (SQLite; PostgreSQL sees to that itself)."""
    if connection.dialect.name == "sqlite":
        give_back(connection.connection.driver_connection)


def give_back(driver: Any) -> None:
    """The same on a connection of Python's driver."""
    (free,) = driver.execute("PRAGMA freelist_count").fetchone()
    for _ in range(min(free, PAGES_AT_ONCE)):
        driver.execute("PRAGMA incremental_vacuum(1)")  # asked for more, Python's driver still stops after one


def unseen_jobs(connection: sa.Connection, instance: str, before: float, limit: int) -> list[int]:
    """Jobs of the ledger that were not looked for in CVAT since that time."""
    query = (
        sa.select(ledger_jobs.c.job_id)
        .where(ledger_jobs.c.instance == instance, ledger_jobs.c.seen_at < before)
        .order_by(ledger_jobs.c.seen_at)
        .limit(limit)
    )
    return list(connection.scalars(query))


def mark_seen(connection: sa.Connection, instance: str, job_id: int) -> None:
    of_job = (ledger_jobs.c.instance == instance, ledger_jobs.c.job_id == job_id)
    connection.execute(sa.update(ledger_jobs).where(*of_job).values(seen_at=time.time()))


def drop_job(connection: sa.Connection, instance: str, job_id: int) -> None:
    """The job is gone from CVAT, and with it everything that was ours there."""
    for table in (ledger, ledger_jobs):
        connection.execute(sa.delete(table).where(table.c.instance == instance, table.c.job_id == job_id))
