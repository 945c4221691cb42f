"""What is missing for the bridge to do its work, kept up to date in the background, and the health paths."""

from __future__ import annotations

import asyncio
from typing import Any

import sqlalchemy as sa
from starlette.types import Receive, Scope, Send

from bridge import metrics
from bridge.cvat.errors import CvatRefused
from bridge.detect.reading import why_refused
from bridge.edge.answers import send_bytes, send_error, send_json
from bridge.runs.services import Services
from kelp.errors import KelpError, NotFound

CHECK_SECONDS = 15.0


class Health:
    """`missing`: what keeps runs from working; `notes`: what somebody should know."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._cvat: str | None = services.settings.cvat_lacks or "CVAT was not asked yet"
        self.reconciler: str | None = None
        """Why missed deliveries are not caught up on."""
        self.started = False

    async def run(self) -> None:
        """Ask CVAT for ever."""
        while True:
            self._cvat = await self._ask_cvat()
            await asyncio.sleep(CHECK_SECONDS if self._cvat is None else CHECK_SECONDS / 5)

    async def _ask_cvat(self) -> str | None:
        if lacking := self._services.settings.cvat_lacks:
            return lacking
        try:
            await self._services.cvat.whoami()
        except CvatRefused as error:
            return why_refused(error, "its own account")
        except KelpError as error:
            return error.message
        return None

    async def ready(self) -> tuple[int, dict[str, Any]]:
        """Status and body. 503 only where a webhook could not be written down: what waits for CVAT is kept."""
        services = self._services
        try:
            await services.database.read(lambda c: c.execute(sa.text("SELECT 1")), patience_s=1.0)
            accepts = self.started and not services.stopping
            missing = [] if accepts else ["stopping" if services.stopping else "starting"]
        except KelpError as error:
            accepts, missing = False, [error.message]
        missing += [problem for problem in (self._cvat, services.catalog.problem) if problem]
        notes = []
        if not services.settings.secrets:
            notes.append("no webhook secret is configured (KELP_WEBHOOK_SECRETS): only this machine is served")
        if not (services.settings.api_token.get_secret_value() or services.settings.bound_to_loopback):
            notes.append("KELP_API_TOKEN is not set: the API is closed")
        if self.reconciler:
            notes.append(self.reconciler)
        notes += services.catalog.notes()
        return (200 if accepts else 503), {"ready": accepts, "missing": missing, "notes": notes}


class SideDoor:
    """The application of the metrics listener: /metrics and health, for the cluster and nobody else."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        match scope["path"]:
            case "/metrics":
                plain = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
                await send_bytes(send, 200, metrics.exposition(), [plain])
            case "/health/live":
                await send_json(send, 200, {"live": True})
            case "/health/ready":
                await send_json(send, *await self._health.ready())
            case path:
                await send_error(send, NotFound(f"nothing at {path}"))
