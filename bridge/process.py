"""The bridge as a process: what is opened in which order, what runs beside what, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from bridge import log, memory, metrics
from bridge.cvat.client import Cvat
from bridge.cvat.transport import CvatAccess, Transport
from bridge.edge.access import Access
from bridge.edge.api import application
from bridge.edge.front import Front
from bridge.edge.health import Health, SideDoor
from bridge.edge.hooks import all_hooks
from bridge.edge.listen import Listener, bind
from bridge.edge.webhook import WebhookHandler
from bridge.models.catalog import Catalog
from bridge.models.open import open_models
from bridge.reconcile.reconciler import Reconciler
from bridge.runs.services import Patience, Services
from bridge.settings import BridgeSettings
from bridge.store.database import Database
from bridge.store.intake import Intake
from bridge.store.migrate import upgrade
from kelp import __version__

# A pod is given 30 s to end; runs stop within this, the rest is for listeners and the database.
DRAIN_S = 20.0


class Bridge:
    """`serve` until told to stop."""

    def __init__(self, settings: BridgeSettings, patience: Patience) -> None:
        self._settings = settings
        self._patience = patience
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def stop(self) -> None:
        self._stop.set()

    async def serve(self) -> None:
        """Open everything, work, and close it again. SettingsError where it cannot begin."""
        settings = self._settings
        main = bind(settings.host, settings.port, "KELP_PORT")
        side = bind(settings.host, settings.metrics_port, "KELP_METRICS_PORT")
        database = Database(settings.database)
        try:
            await asyncio.to_thread(upgrade, database.engine)
            database.start()
            await self._serve(database, main, side)
        finally:
            database.close()

    async def _serve(self, database: Database, main: Any, side: Any) -> None:
        settings = self._settings
        services = self._services(database)
        await services.catalog.load()
        health = Health(services)
        access = Access(settings)
        # Webhooks are written down from here on; the machinery that works on them takes a second more to import.
        on_new = services.news.set
        hooks = all_hooks(services.catalog, settings.instance)
        webhooks = {hook.path: WebhookHandler(hook, services.intake, access, on_new) for hook in hooks}
        reconciler = Reconciler(services, webhooks, health)
        await reconciler.note_first_start()
        front = Front(webhooks, application(services, health, on_new), access)
        listeners = {"main": Listener(front, main), "metrics": Listener(SideDoor(health), side)}
        for listener in listeners.values():
            listener.start()
        self._spawn(services.models.run)
        self._spawn(services.catalog.run)
        self._spawn(health.run)
        health.started = True
        for name, listener in listeners.items():
            log.announce("listening", listener=name, port=listener.port)  # who gave port 0 waits for it
        _say_what_is_not_set(settings)
        engine = await asyncio.to_thread(importlib.import_module, "bridge.runs.engine")
        running = await engine.start(services)
        self._spawn(reconciler.run)
        memory.settle()
        log.event("ready", version=__version__, database=database.engine.dialect.name, executor=services.executor)
        try:
            await self._stop.wait()
        finally:
            log.event("draining", runs=len(services.live))
            services.stop()
            await asyncio.gather(*(listener.stop() for listener in listeners.values()))
            await running.stop(DRAIN_S)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await services.cvat.close()
            await services.models.close()
            log.event("stopped")

    def _services(self, database: Database) -> Services:
        settings = self._settings
        cvat = CvatAccess(
            settings.cvat_url or "http://cvat.invalid",
            settings.cvat_user,
            settings.cvat_password.get_secret_value(),
            settings.cvat_token.get_secret_value(),
            settings.cvat_org,
            settings.cvat_ca,
        )
        models = open_models(settings, database)
        metrics.tell_models(models.facts)
        return Services(
            settings=settings,
            database=database,
            intake=Intake(database),
            cvat=Cvat(Transport(cvat)),
            models=models,
            catalog=Catalog(models, database),
            executor="",
            patience=self._patience,
        )

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(log.survive(work)))


def _say_what_is_not_set(settings: BridgeSettings) -> None:
    if lacking := settings.cvat_lacks:
        note = f"{lacking}; webhooks are written down, and wait"
        log.event("no_cvat_access", level=logging.WARNING, note=note)
    if not settings.secrets:
        log.event(
            "no_webhook_secret",
            level=logging.WARNING,
            note="KELP_WEBHOOK_SECRETS is not set: webhooks are taken from this machine only",
        )
    if not (settings.api_token.get_secret_value() or settings.bound_to_loopback):
        log.event("no_api_token", level=logging.WARNING, note="KELP_API_TOKEN is not set: the API is closed")


async def _main(settings: BridgeSettings, patience: Patience) -> None:
    bridge = Bridge(settings, patience)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, bridge.stop)
    await bridge.serve()


def run(settings: BridgeSettings, patience: Patience | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_main(settings, patience or Patience()))
