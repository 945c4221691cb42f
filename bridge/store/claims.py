"""A claim on a run: which process works on it. Each write says under which claim it is made; an old one is refused."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.tables import ACTIVE, runs


class ClaimLost(BaseException):
    """Another process (or a later attempt) has this run now. Not an Exception: nothing may swallow or record it."""


@dataclass(frozen=True, slots=True)
class Claim:
    run_id: str
    epoch: int


def update(connection: sa.Connection, claim: Claim, **values: Any) -> None:
    """Change the claimed run. ClaimLost if it is not ours any more."""
    values.setdefault("updated_at", time.time())
    changed = connection.execute(sa.update(runs).where(*_ours(claim)).values(**values))
    if changed.rowcount != 1:
        raise ClaimLost(claim.run_id)


def check(connection: sa.Connection, claim: Claim) -> sa.Row[Any]:
    """The claimed run, locked until the transaction ends. ClaimLost if it is not ours any more."""
    row = connection.execute(sa.select(runs).where(*_ours(claim)).with_for_update()).one_or_none()
    if row is None:
        raise ClaimLost(claim.run_id)
    return row


def _ours(claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    return runs.c.id == claim.run_id, runs.c.epoch == claim.epoch, runs.c.state.in_(ACTIVE)
