"""The model of the next stage, started while the frames for it are still being made."""

from __future__ import annotations

import asyncio
import contextlib
import time
from urllib.parse import urlsplit

from bridge import log
from bridge.events.parameters import parse_query
from bridge.events.paths import DETECT_PATH
from bridge.runs.services import Services
from kelp.errors import KelpError

# So long before the last frame is made at this pace; sooner it might have gone to sleep again.
AHEAD_S = 60.0


class NextStage:
    """Which model annotates the target project's new jobs, found by the project's webhooks, and waking it in time.

    All of it is a service: what fails here is logged and changes nothing; the next stage's own runs wake it as well.
    """

    def __init__(self, services: Services, project_id: int) -> None:
        self._services = services
        self._project_id = project_id
        self._began: float | None = None
        self._made = 0
        self._task: asyncio.Task[None] | None = None

    def made(self, left: int) -> None:
        """Another frame is made (or the first is about to be), and `left` are to come: wake the model if it is time."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        else:
            self._made += 1
        pace = (now - self._began) / self._made if self._made else AHEAD_S / 2
        if self._task is None and pace * left <= AHEAD_S:
            self._task = asyncio.create_task(self._wake())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _wake(self) -> None:
        try:
            for model in await self._models():
                log.event("next_stage_woken", project=self._project_id, model=model)
                card = await self._services.catalog.card(model)
                await self._services.models.wait_ready(model, timeout_s=card.start_timeout_s)
        except KelpError as error:
            log.event("next_stage_not_woken", project=self._project_id, error=error)

    async def _models(self) -> list[str]:
        base = self._services.settings.public_url
        found: dict[str, None] = {}
        for webhook in await self._services.cvat.webhooks_of_project(self._project_id):
            if not (webhook.is_active and "create:job" in webhook.events and webhook.target_url.startswith(base)):
                continue
            parts = urlsplit(webhook.target_url)
            if not parts.path.endswith(DETECT_PATH):
                continue
            with contextlib.suppress(KelpError):
                parameters = parse_query(parts.query, None)
                if "created" in parameters.on and parameters.model in self._services.catalog.known:
                    found[parameters.model] = None
        return list(found)
