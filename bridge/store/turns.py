"""The queue: which runs have their turn, and claiming one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.store.claims import Claim
from bridge.store.tables import ACTIVE, is_active, is_queued, runs, state_is

# Each lane once, by its first entry in the index: however many runs are queued, only a few of each are looked at.
_LANES = sa.text(
    "WITH RECURSIVE lanes(lane) AS ("
    "SELECT min(runs.lane) FROM runs WHERE runs.state IN ('queued') UNION ALL "
    "SELECT (SELECT min(runs.lane) FROM runs WHERE runs.state IN ('queued') AND runs.lane > lanes.lane) "
    "FROM lanes WHERE lanes.lane IS NOT NULL"
    ") SELECT lane FROM lanes WHERE lane IS NOT NULL"
)
# A task that is in no project is its own.
_PROJECT = sa.func.coalesce(runs.c.project_id, -runs.c.task_id).label("project_id")
_COLUMNS = (
    runs.c.id, runs.c.instance, runs.c.job_id, runs.c.kind, runs.c.task_id, runs.c.target_id, _PROJECT, runs.c.model,
    runs.c.priority, runs.c.created_at,
)  # fmt: skip
_other = runs.alias("other")
_ACTIVE_OTHER = (state_is(ACTIVE, _other), _other.c.instance == runs.c.instance)
_BUSY = sa.or_(
    sa.exists().where(*_ACTIVE_OTHER, _other.c.job_id == runs.c.job_id, _other.c.job_id > 0),
    sa.exists().where(
        *_ACTIVE_OTHER,
        _other.c.kind == runs.c.kind,
        _other.c.task_id == runs.c.task_id,
        _other.c.target_id == runs.c.target_id,
    ),
)
_FIRST = (
    sa.select(*_COLUMNS)
    .where(is_queued, runs.c.lane == sa.bindparam("of"), ~_BUSY)
    .order_by(runs.c.created_at, runs.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_ACTIVE = sa.select(*_COLUMNS, runs.c.executor, runs.c.state).where(is_active)
_TAKE = (
    sa.update(runs)
    .where(runs.c.id == sa.bindparam("run"), is_queued)
    .values(
        state="running",
        epoch=runs.c.epoch + 1,
        message=None,
        started_at=sa.func.coalesce(runs.c.started_at, sa.bindparam("now", type_=runs.c.started_at.type)),
    )
    .returning(runs.c.epoch)
)


def queued(connection: sa.Connection, most: int) -> Sequence[Any]:
    """Queued runs in the order of their turn, the first `most` of each lane, none of a busy job or output."""
    found: list[Any] = []
    for lane in connection.scalars(_LANES).all():
        found += connection.execute(_FIRST, {"of": lane, "most": most})
    return sorted(found, key=lambda run: (run.priority, run.created_at, run.id))


def active(connection: sa.Connection) -> Sequence[Any]:
    """The claimed runs of all bridges."""
    return connection.execute(_ACTIVE).all()


def take(connection: sa.Connection, run_id: str, executor: str, version: str) -> Claim | None:
    """Claim a queued run for `executor`; None where it is queued no more."""
    now = time.time()
    values = {"executor": executor, "workflow_version": version, "updated_at": now}
    epoch = connection.scalar(_TAKE, {"run": run_id, "now": now, **values})
    return None if epoch is None else Claim(run_id, epoch)
