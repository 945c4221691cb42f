"""A claim on a run: which process works on it. Each write says under which claim it is made; an old one is refused."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.tables import is_active, runs


class ClaimLost(BaseException):
    """Another process (or a later attempt) has this run now. Not an Exception: nothing may swallow or record it."""


@dataclass(frozen=True, slots=True)
class Claim:
    run_id: str
    epoch: int


# Made once: to build such a statement takes several times as long as to execute it.
_OURS = (runs.c.id == sa.bindparam("claimed"), runs.c.epoch == sa.bindparam("under"), is_active)
_CHECK = sa.select(runs).where(*_OURS).with_for_update()
_UPDATE = sa.update(runs).where(*_OURS)


def update(connection: sa.Connection, claim: Claim, **values: Any) -> None:
    """Change the claimed run. ClaimLost if it is not ours any more."""
    values.setdefault("updated_at", time.time())
    if connection.execute(_UPDATE, {**_named(claim), **values}).rowcount != 1:
        raise ClaimLost(claim.run_id)


def check(connection: sa.Connection, claim: Claim) -> sa.Row[Any]:
    """The claimed run, locked until the transaction ends. ClaimLost if it is not ours any more."""
    row = connection.execute(_CHECK, _named(claim)).one_or_none()
    if row is None:
        raise ClaimLost(claim.run_id)
    return row


def _named(claim: Claim) -> dict[str, Any]:
    return {"claimed": claim.run_id, "under": claim.epoch}
