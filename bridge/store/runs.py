"""Reading and changing runs as a whole. What belongs to a claim is in `claims` and `progress`."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from bridge.store import claims
from bridge.store.claims import Claim
from bridge.store.tables import FINISHED, UNFINISHED, frames, is_active, is_queued, runs
from kelp.errors import Conflict, NotFound

# Ended, and nothing or not all was done: whoever asks for the same wants it done.
UNDONE = frozenset({"failed", "cancelled", "skipped"})


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the runs is listed. before: (created_at, id) of the last one seen."""

    state: str | None = None
    model: str | None = None
    job: int | None = None
    task: int | None = None
    project: int | None = None
    batch: str | None = None
    before: tuple[float, str] | None = None
    limit: int = 50


_GET = sa.select(runs).where(runs.c.id == sa.bindparam("run"))
_COUNT = sa.select(runs.c.state, sa.func.count()).group_by(runs.c.state)
_STATE = sa.select(runs.c.epoch, runs.c.state).where(runs.c.id == sa.bindparam("run"))


def get(connection: sa.Connection, run_id: str) -> sa.Row[Any]:
    """The run. NotFound where there is none."""
    row = connection.execute(_GET, {"run": run_id}).one_or_none()
    if row is None:
        raise NotFound(f"no run '{run_id}'", code="no_such_run")
    return row


def find(connection: sa.Connection, filters: Filters) -> Sequence[sa.Row[Any]]:
    """Runs, newest first."""
    query = sa.select(runs).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(filters.limit)
    for column, value in (
        (runs.c.state, filters.state),
        (runs.c.model, filters.model),
        (runs.c.job_id, filters.job),
        (runs.c.task_id, filters.task),
        (runs.c.project_id, filters.project),
        (runs.c.batch, filters.batch),
    ):
        if value is not None:
            query = query.where(column == value)
    if filters.before is not None:
        created, run_id = filters.before
        query = query.where(
            sa.or_(runs.c.created_at < created, sa.and_(runs.c.created_at == created, runs.c.id < run_id))
        )
    return connection.execute(query).all()


def count_by_state(connection: sa.Connection) -> dict[str, int]:
    return {row.state: row[1] for row in connection.execute(_COUNT)}


def mark_active(connection: sa.Connection, claim: Claim, state: str, message: str | None) -> None:
    """Say what a claimed run is doing: `running`, or `waiting` for somebody."""
    claims.update(connection, claim, state=state, message=message)


def save_details(connection: sa.Connection, claim: Claim, details: Mapping[str, Any]) -> None:
    """Add to what is recorded of a run."""
    row = claims.check(connection, claim)
    known = orjson.loads(row.details) if row.details else {}
    claims.update(connection, claim, details=orjson.dumps({**known, **details}).decode())


def finish(connection: sa.Connection, claim: Claim, state: str, reason: str | None) -> None:
    """End a claimed run. Ending it twice is no error."""
    row = connection.execute(_STATE, {"run": claim.run_id}).one_or_none()
    if row is not None and row.epoch == claim.epoch and row.state in FINISHED:
        return
    now = time.time()
    claims.update(
        connection, claim, state=state, reason=reason, message=None, finished_at=now, updated_at=now, cancel=False
    )


def cancel(connection: sa.Connection, run_id: str) -> str:
    """Ask a run to stop; its state. One that has not begun is cancelled at once."""
    row = get(connection, run_id)
    now = time.time()
    if row.state in FINISHED:
        raise Conflict(f"the run is {row.state.replace('_', ' ')} already", code="run_finished")
    ended = connection.execute(
        sa.update(runs)
        .where(runs.c.id == run_id, is_queued)
        .values(state="cancelled", reason="cancelled before it began", finished_at=now, updated_at=now)
    )
    if ended.rowcount:
        return "cancelled"
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(cancel=True, updated_at=now))
    return str(row.state)


def retry(connection: sa.Connection, run_id: str, *, again: bool) -> int:
    """Queue a finished run once more; the number of this attempt. `again`: infer anew instead of going on."""
    row = get(connection, run_id)
    if row.state in UNFINISHED:
        raise Conflict(f"the run is {row.state} already", code="run_unfinished")
    if row.state == "completed" and not again:
        raise Conflict("the run is completed; ask for it `again` to infer anew", code="run_finished")
    if again and row.kind != "detect":
        raise Conflict("another task is made by asking for a new run with `again`", code="another_task")
    return _queue_again(connection, row, again)


def take_up(connection: sa.Connection, ids: Collection[str]) -> dict[str, str]:
    """Queue those of `ids` once more that had ended without having done their work; the state that each was in.

    One that is just being stopped is left alone and told as `cancelling`.
    """
    found = {}
    for row in [get(connection, run_id) for run_id in ids]:
        found[row.id] = "cancelling" if row.cancel and row.state in UNFINISHED else str(row.state)
        if row.state in UNDONE:
            _queue_again(connection, row, again=False)
    return found


def _queue_again(connection: sa.Connection, row: sa.Row[Any], again: bool) -> int:
    values = {
        "state": "queued",
        "frames_failed": 0,
        "attempt": row.attempt + 1,
        "again": again,
        "cancel": False,
        "reason": None,
        "message": None,
        "finished_at": None,
        "executor": None,
        "updated_at": time.time(),
    }
    # Of two who ask at once, the second must not queue what is at work by then.
    still = runs.c.id == row.id, runs.c.state == row.state, runs.c.attempt == row.attempt
    if connection.execute(sa.update(runs).where(*still).values(**values)).rowcount:
        # What was set aside gets another chance; what was answered is kept.
        connection.execute(sa.delete(frames).where(frames.c.run_id == row.id, frames.c.error.is_not(None)))
    return int(values["attempt"])


def requeue(connection: sa.Connection, ids: Collection[str], message: str) -> int:
    """Put unfinished runs of a process that is gone back into the queue, their stored shapes kept."""
    if not ids:
        return 0
    values = {"state": "queued", "executor": None, "message": message, "updated_at": time.time()}
    changed = connection.execute(sa.update(runs).where(runs.c.id.in_(list(ids)), is_active).values(**values))
    return changed.rowcount
