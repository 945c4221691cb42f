"""The bridges of one database: heartbeats, and taking over the runs of one that fell silent."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store import runs as run_store
from bridge.store.claims import Claim
from bridge.store.database import lock_until_commit, now
from bridge.store.tables import executors, is_active, runs

_OF = runs.c.executor == sa.bindparam("of")
_ACTIVE = sa.select(runs.c.id, runs.c.epoch).where(is_active, _OF)
_CANCELLED = sa.select(runs.c.id).where(is_active, _OF, runs.c.cancel.is_(sa.true()))


def register(connection: sa.Connection, executor: str, nonce: str) -> None:
    """Say that the process `nonce` is `executor` now."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"id": executor, "nonce": nonce, "beat_at": now(connection)}
    statement = insert(executors).values(**values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_={"nonce": values["nonce"], "beat_at": values["beat_at"]}
        )
    )


def beat(connection: sa.Connection, executor: str, nonce: str) -> bool:
    """Say that the process is alive; False if it was given up and its runs were taken over."""
    own = sa.and_(executors.c.id == executor, executors.c.nonce == nonce)
    return connection.execute(sa.update(executors).where(own).values(beat_at=now(connection))).rowcount == 1


def leave(connection: sa.Connection, executor: str, nonce: str) -> None:
    """Go, so that nobody waits for this process: its unfinished runs are anybody's."""
    own = sa.and_(executors.c.id == executor, executors.c.nonce == nonce)
    connection.execute(sa.update(executors).where(own).values(beat_at=0.0))


def adopt(connection: sa.Connection, executor: str, silent_s: float) -> dict[str, list[Claim]]:
    """Put the runs of every other bridge that was silent for `silent_s` back into the queue; by bridge."""
    border = now(connection) - silent_s
    silent = list(
        connection.scalars(sa.select(executors.c.id).where(executors.c.id != executor, executors.c.beat_at < border))
    )
    adopted: dict[str, list[Claim]] = {}
    for other in silent:
        lock_until_commit(connection, f"executor:{other}")
        gone = connection.execute(sa.delete(executors).where(executors.c.id == other, executors.c.beat_at < border))
        if gone.rowcount:
            adopted[other] = give_up(connection, other)
    return adopted


def give_up(connection: sa.Connection, executor: str, *, but_version: str | None = None) -> list[Claim]:
    """Requeue the active runs of `executor`, those of workflow `but_version` aside; the claims that ended."""
    query = _ACTIVE
    if but_version is not None:
        query = query.where(sa.or_(runs.c.workflow_version.is_(None), runs.c.workflow_version != but_version))
    claims = [Claim(row.id, row.epoch) for row in connection.execute(query, {"of": executor})]
    run_store.requeue(connection, [claim.run_id for claim in claims], "taken up again after a restart")
    return claims


def active_claims(connection: sa.Connection, executor: str) -> Collection[Claim]:
    return [Claim(row.id, row.epoch) for row in connection.execute(_ACTIVE, {"of": executor})]


def cancelled_runs(connection: sa.Connection, executor: str) -> list[str]:
    """Ids of the active runs of `executor` that somebody asked to stop."""
    return list(connection.scalars(_CANCELLED, {"of": executor}))
