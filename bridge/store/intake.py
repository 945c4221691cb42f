"""Writing down what came in: one insert, shared by all that arrive while the last one was on its way to the disk."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from bridge.store.bulk import insert_new
from bridge.store.database import Database
from bridge.store.tables import runs

# CVAT waits 10 s for an answer; a delivery that cannot be written down by then is answered with a 5xx.
PATIENCE_S = 5.0
MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run as it is asked for. `id` is its delivery key; `job_id` is 0 where it is on a whole task; `created_at` in
    seconds since 1970; `trace`: the traceparent of the request that asks for it; `target_id`: the project of the task
    that it makes."""

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
    trace: str | None = None
    target_id: int | None = None

    @property
    def lane(self) -> str:
        """Runs of one lane have their turns one after the other; a task that is in no project is its own."""
        project = f"project {self.project_id}" if self.project_id is not None else f"task {self.task_id}"
        return f"{self.priority} {project} {self.model} {self.instance}"

    def row(self) -> dict[str, Any]:
        return {
            **asdict(self), "lane": self.lane, "state": "queued",
            "attempt": 1, "epoch": 0, "again": False, "cancel": False,
            "frames_done": 0, "frames_failed": 0, "shapes_found": 0, "shapes_written": 0,
            "updated_at": self.created_at,
        }  # fmt: skip


class Intake:
    """Writes runs down, together with all that arrived while the last ones were on their way to the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[NewRun, asyncio.Future[bool]]] = []
        self._task: asyncio.Task[None] | None = None

    async def accept(self, run: NewRun) -> bool:
        """True if `run` is new, False if one with its id is there already; durable on return."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((run, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())
        return await future

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            rows = [run.row() for run, _ in batch]
            try:
                new = await self._database.write(partial(_insert, rows=rows), patience_s=PATIENCE_S, aside=True)
            except Exception as error:  # handed to everybody who waits for it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for run, future in batch:
                if not future.done():
                    future.set_result(run.id in new)
                new.discard(run.id)  # of two with one id only the first is new


def _insert(connection: sa.Connection, rows: list[dict[str, Any]]) -> set[str]:
    """Ids of the rows that were not there."""
    return insert_new(connection, runs, rows, "id")
