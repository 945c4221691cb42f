"""Tasks that runs make: which one belongs to which mark. Kept when the runs are long forgotten."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store import claims
from bridge.store.claims import Claim
from bridge.store.tables import frames, outputs


@dataclass(frozen=True, slots=True)
class Place:
    """Where an output is written down: the CVAT instance and the mark."""

    instance: str
    mark: str


@dataclass(frozen=True, slots=True)
class Output:
    """task_id: CVAT's, once it is known; finished: whether all of its frames are in it."""

    run_id: str
    task_id: int | None
    finished: bool


def load(connection: sa.Connection, place: Place) -> Output | None:
    row = connection.execute(sa.select(outputs).where(*_at(place))).one_or_none()
    return None if row is None else Output(row.run_id, row.task_id, bool(row.finished))


def want(connection: sa.Connection, claim: Claim, place: Place) -> None:
    """Write down that this run is about to have a task made; nothing of it is uploaded yet."""
    run = claims.check(connection, claim)
    values = {"run_id": claim.run_id, "task_id": None, "finished": False, "made_at": time.time()}
    if not connection.execute(sa.update(outputs).where(*_at(place)).values(**values)).rowcount:
        connection.execute(sa.insert(outputs).values(instance=place.instance, mark=place.mark, **values))
    gone = connection.execute(sa.delete(frames).where(frames.c.run_id == claim.run_id, frames.c.error.is_(None)))
    claims.update(connection, claim, frames_done=run.frames_done - gone.rowcount)


def keep(connection: sa.Connection, claim: Claim, place: Place, task_id: int) -> None:
    """Write down which task it is."""
    _change(connection, claim, place, task_id=task_id)


def finish(connection: sa.Connection, claim: Claim, place: Place) -> None:
    """Write down that all of its frames are in it."""
    _change(connection, claim, place, finished=True)


def forget(connection: sa.Connection, claim: Claim, place: Place) -> None:
    """There is no such task (any more)."""
    claims.check(connection, claim)
    connection.execute(sa.delete(outputs).where(*_at(place), outputs.c.run_id == claim.run_id))


def _change(connection: sa.Connection, claim: Claim, place: Place, **values: Any) -> None:
    claims.check(connection, claim)
    connection.execute(sa.update(outputs).where(*_at(place), outputs.c.run_id == claim.run_id).values(**values))


def _at(place: Place) -> tuple[sa.ColumnElement[bool], ...]:
    return outputs.c.instance == place.instance, outputs.c.mark == place.mark
