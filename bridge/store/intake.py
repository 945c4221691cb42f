"""Writing down what came in: one insert, shared by all that arrive while the last one was on its way to the disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store.database import Database
from bridge.store.tables import runs

# CVAT waits 10 s for an answer; a delivery that cannot be written down by then is answered with a 5xx.
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run as it is asked for. `id` is its delivery key; `created_at` in seconds since 1970."""

    id: str
    kind: str
    priority: int
    instance: str
    project_id: int | None
    task_id: int | None
    job_id: int
    model: str
    parameters: str
    event: str
    cause: str
    caused_by: str
    created_at: float
    batch: str | None = None

    def row(self) -> dict[str, Any]:
        return {
            **asdict(self), "state": "queued", "attempt": 1, "epoch": 0, "again": False, "cancel": False,
            "frames_done": 0, "frames_failed": 0, "shapes_found": 0, "shapes_written": 0,
            "updated_at": self.created_at,
        }  # fmt: skip


async def accept(database: Database, run: NewRun) -> bool:
    """Write `run` down. True if it is new, False if a run with its id is there already. Durable on return."""
    row = run.row()

    def insert(connection: sa.Connection) -> bool:
        return connection.execute(_statement(connection), row).rowcount == 1

    return await database.write(insert, patience_s=PATIENCE_S)


def _statement(connection: sa.Connection) -> Any:
    return _STATEMENTS[connection.dialect.name]


_STATEMENTS: dict[str, Any] = {
    "sqlite": sqlite.insert(runs).on_conflict_do_nothing(index_elements=["id"]),
    "postgresql": postgresql.insert(runs).on_conflict_do_nothing(index_elements=["id"]),
}
