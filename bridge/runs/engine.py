"""Starts what works on runs: DBOS, this process's membership, the scheduler and the rest; and stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig

from bridge import log
from bridge.reconcile.pruner import Pruner
from bridge.runs import workflow
from bridge.runs.membership import Membership, Name
from bridge.runs.scheduler import Scheduler
from bridge.runs.services import Services
from bridge.store import workflows
from kelp.errors import KelpError

NAME = "kelp-bridge"
COUNT_SECONDS = 5.0


async def start(services: Services) -> Engine:
    """Everything that works on runs."""
    name = await asyncio.to_thread(Name, services.database, services.settings.executor)
    services.executor = name.value
    workflow.bind(services)
    membership = Membership(services, name)
    await membership.join()
    own = _launch(services)
    await membership.take_up_unstarted()
    engine = Engine(services, name, membership, own)
    scheduler = Scheduler(services, services.news)
    engine.spawn(membership.run)
    engine.spawn(scheduler.run)
    engine.spawn(partial(_count, scheduler))
    engine.spawn(Pruner(services).run)
    return engine


class Engine:
    def __init__(self, services: Services, name: Name, membership: Membership, own: sa.Engine | None) -> None:
        """`own`: the database engine that was made for DBOS, which leaves it open."""
        self._services = services
        self._name = name
        self._membership = membership
        self._own = own
        self._tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(log.survive(work)))

    async def stop(self, timeout_s: float) -> None:
        """Let live runs stop where they may, and leave them to the next process."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._services.idle.wait(), timeout_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(KelpError):
            await self._membership.leave()
        workflow.bind(None)
        await asyncio.to_thread(DBOS.destroy)
        if self._own is not None:
            self._own.dispose()
        self._name.release()


async def _count(scheduler: Scheduler) -> None:
    while True:
        with contextlib.suppress(KelpError):
            await scheduler.count()
        await asyncio.sleep(COUNT_SECONDS)


def _launch(services: Services) -> sa.Engine | None:
    """Launch DBOS: on SQLite in a file beside ours, by the engine returned; on PostgreSQL in a schema of the same
    database.
    """
    own: sa.Engine | None = None
    url = services.database.url
    config: DBOSConfig = {
        "name": NAME,
        "application_version": workflow.VERSION,
        "executor_id": services.executor,
        "log_level": "ERROR",
        "enable_otlp": False,
    }
    if services.database.is_sqlite:
        config["system_database_url"] = f"sqlite:///{workflows.file_of(url)}"
        config["system_database_engine"] = own = workflows.engine_of(workflows.file_of(url))
    else:
        config["system_database_url"] = url.render_as_string(hide_password=False)
    # Its environment variables are meant for its own cloud.
    os.environ.pop("DBOS__APPVERSION", None)
    # Else it adds a handler of its own; what it warns of goes where everything goes.
    logger = logging.getLogger("dbos")
    logger.handlers[:], logger.propagate = [logging.NullHandler()], True
    DBOS(config=config)
    DBOS.launch()
    return own
