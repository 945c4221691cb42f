"""Takes queued runs from the table, fairly, and starts each as a workflow of this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from bridge import log, metrics
from bridge.runs import workflow
from bridge.runs.limits import BATCH, INTERACTIVE, Limits, choose
from bridge.runs.services import Services
from bridge.store import runs as run_store
from bridge.store import waiting
from bridge.store.claims import Claim
from bridge.store.database import lock_until_commit
from bridge.store.tables import ACTIVE, STATES, runs
from kelp.errors import KelpError

# Of the queue, so many runs are looked at once.
LOOK_AT = 256
# Without news the table is looked at so often: another bridge, or a freed place, may have changed it.
IDLE_SECONDS = 1.0
# Hundreds of webhooks a second are no reason to look hundreds of times.
LEAST_SECONDS = 0.05
# Looking through thousands of queued runs takes a while; at most a quarter of the time is spent on it.
REST = 3.0

# A task that is in no project is its own.
_PROJECT = sa.func.coalesce(runs.c.project_id, -runs.c.task_id).label("project_id")
_COLUMNS = (runs.c.id, runs.c.instance, runs.c.job_id, _PROJECT, runs.c.model, runs.c.priority)


class Scheduler:
    def __init__(self, services: Services, news: asyncio.Event, limits: Limits | None = None) -> None:
        """`news` is set when there is a new run, or a place for one."""
        self._services = services
        self._limits = limits or Limits()
        self._news = news
        self._pause_s = LEAST_SECONDS

    async def run(self) -> None:
        """Start runs for ever."""
        while not self._services.stopping:
            self._news.clear()
            try:
                started = await self._round()
            except KelpError as error:  # the database is gone for a while; the runs stay queued
                log.event("scheduler_waits", level=logging.WARNING, error=error)
                started = 0
            if not started:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), IDLE_SECONDS)
            await asyncio.sleep(self._pause_s)

    async def _round(self) -> int:
        services = self._services
        if time.monotonic() > services.lease_until or services.working >= self._limits.at_once:
            return 0
        began = time.monotonic()
        queued = await services.database.read(self._candidates)
        self._pause_s = min(max(LEAST_SECONDS, REST * (time.monotonic() - began)), IDLE_SECONDS)
        if not queued:
            return 0
        claimed = await services.database.write(partial(self._claim, queued=queued))
        for claim in claimed:
            log.boundary("run_claimed", run=claim.run_id)
            await workflow.start(claim)
        return len(claimed)

    def _candidates(self, connection: sa.Connection) -> Sequence[Any]:
        """Queued runs in the order of their turn, the first few of each project and model, none of a busy job."""
        active = sa.alias(runs)
        busy = sa.exists().where(
            active.c.state.in_(ACTIVE), active.c.instance == runs.c.instance, active.c.job_id == runs.c.job_id
        )
        alike = (runs.c.priority, runs.c.instance, _PROJECT, runs.c.model)
        order = (runs.c.created_at, runs.c.id)
        place = sa.func.row_number().over(partition_by=alike, order_by=order).label("place")
        ranked = sa.select(*_COLUMNS, runs.c.created_at, place).where(runs.c.state == "queued", ~busy).subquery()
        query = (
            sa.select(ranked)
            .where(ranked.c.place <= self._limits.at_once)
            .order_by(ranked.c.priority, ranked.c.created_at, ranked.c.id)
            .limit(LOOK_AT)
        )
        return connection.execute(query).all()

    def _claim(self, connection: sa.Connection, queued: Sequence[Any]) -> list[Claim]:
        lock_until_commit(connection, "scheduler")
        active = connection.execute(
            sa.select(*_COLUMNS, runs.c.executor, runs.c.state).where(runs.c.state.in_(ACTIVE))
        ).all()
        # Those that wait for their model take no place: when it starts, they are what it was started for.
        mine = sum(run.executor == self._services.executor and run.state == "running" for run in active)
        chosen = choose(queued, active, free=self._limits.at_once - mine, limits=self._limits)
        return [claim for run_id in chosen if (claim := self._take(connection, run_id)) is not None]

    def _take(self, connection: sa.Connection, run_id: str) -> Claim | None:
        now = time.time()
        taken: Any = connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, runs.c.state == "queued")
            .values(
                state="running",
                executor=self._services.executor,
                epoch=runs.c.epoch + 1,
                workflow_version=workflow.VERSION,
                message=None,
                started_at=sa.func.coalesce(runs.c.started_at, now),
                updated_at=now,
            )
            .returning(runs.c.epoch)
        ).one_or_none()
        return None if taken is None else Claim(run_id, taken.epoch)

    async def count(self) -> None:
        """Bring the gauge of runs by state up to date."""
        counted = await self._services.database.read(partial(run_store.count_by_state))
        for state in STATES:
            metrics.RUNS.labels(state).set(counted.get(state, 0))
        since = await self._services.database.read(waiting.since_by_priority)
        for priority, name in ((INTERACTIVE, "interactive"), (BATCH, "batch")):
            age = time.time() - since[priority] if priority in since else 0.0
            metrics.QUEUE_AGE.labels(name).set(max(0.0, age))
