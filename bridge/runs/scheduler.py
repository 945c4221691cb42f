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
from bridge.store import turns, waiting
from bridge.store.claims import Claim
from bridge.store.database import lock_until_commit
from bridge.store.tables import STATES
from kelp.errors import KelpError

# Without news the table is looked at so often: another bridge, or a freed place, may have changed it.
IDLE_SECONDS = 1.0
# Hundreds of webhooks a second are no reason to look hundreds of times, least of all while there is no place.
LEAST_SECONDS, IN_VAIN_SECONDS = 0.02, 0.05
# Looking through hundreds of lanes takes a while; at most a quarter of the time is spent on it.
REST = 3.0


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
        queued, chosen = await services.database.read(self._look)
        least_s = LEAST_SECONDS if chosen else IN_VAIN_SECONDS
        self._pause_s = min(max(least_s, REST * (time.monotonic() - began)), IDLE_SECONDS)
        if not chosen:
            return 0
        claimed = await services.database.write(partial(self._claim, queued=queued))
        for claim in claimed:
            log.boundary("run_claimed", run=claim.run_id)
            await workflow.start(claim)
        return len(claimed)

    def _look(self, connection: sa.Connection) -> tuple[Sequence[Any], Sequence[str]]:
        """Queued runs, and who of them would be claimed: the writer is not held up while there is no place."""
        queued = turns.queued(connection, self._limits.at_once)
        return queued, self._choose(connection, queued) if queued else ()

    def _choose(self, connection: sa.Connection, queued: Sequence[Any]) -> Sequence[str]:
        active = turns.active(connection)
        # Those that wait for their model take no place: when it starts, they are what it was started for.
        mine = sum(run.executor == self._services.executor and run.state == "running" for run in active)
        return choose(queued, active, free=self._limits.at_once - mine, limits=self._limits)

    def _claim(self, connection: sa.Connection, queued: Sequence[Any]) -> list[Claim]:
        lock_until_commit(connection, "scheduler")
        executor, version = self._services.executor, workflow.VERSION
        taken = (turns.take(connection, run_id, executor, version) for run_id in self._choose(connection, queued))
        return [claim for claim in taken if claim is not None]

    async def count(self) -> None:
        """Bring the gauge of runs by state up to date."""
        counted = await self._services.database.read(partial(run_store.count_by_state))
        for state in STATES:
            metrics.RUNS.labels(state).set(counted.get(state, 0))
        since = await self._services.database.read(waiting.since_by_priority)
        for priority, name in ((INTERACTIVE, "interactive"), (BATCH, "batch")):
            age = time.time() - since[priority] if priority in since else 0.0
            metrics.QUEUE_AGE.labels(name).set(max(0.0, age))
