"""Reads the delivery lists of the webhooks that point here, and takes in what never arrived.

Old servers send a delivery once and newer ones give up after a day, so a bridge that was down must look for itself.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from bridge import log, metrics
from bridge.cvat.errors import CvatGone, CvatRefused
from bridge.cvat.objects import Delivery, Webhook
from bridge.edge.health import Health
from bridge.edge.webhook import WebhookHandler
from bridge.runs.services import Services
from bridge.store import facts
from kelp import tracing
from kelp.errors import KelpError

# So long a delivery without a status may still be under way: CVAT waits 10 s for a receiver.
UNDER_WAY_S = 60.0
_FIRST_START = "first_start"


class Reconciler:
    def __init__(self, services: Services, ours: Mapping[str, WebhookHandler], health: Health) -> None:
        """`ours`: the bridge's webhooks by their paths."""
        self._services = services
        self._ours_by_path = ours
        self._health = health

    async def note_first_start(self) -> float:
        """When this installation first started (now, if it never did): what CVAT sent before is not ours."""
        note = partial(facts.first, name=_FIRST_START, value=repr(time.time()))
        return float(await self._services.database.write(note))

    async def run(self) -> None:
        """At start and every KELP_RECONCILE_SECONDS, for ever."""
        settings = self._services.settings
        if not settings.public_url:
            self._health.reconciler = "KELP_PUBLIC_URL is not set: deliveries that were missed are not caught up on"
            return
        metrics.RECONCILED.set_to_current_time()
        first = True
        while True:
            every = settings.reconcile_seconds
            turn = partial(facts.take_turn, name="reconcile", every_s=0.0 if first else every)
            try:
                if await self._services.database.write(turn):
                    await self.catch_up()
                first = False
            except KelpError as error:
                log.event("reconciler_waits", level=logging.WARNING, error=error)
                every = min(every, 15.0)
            await asyncio.sleep(every)

    async def catch_up(self) -> None:
        """Once through all webhooks that point here. A KelpError means: later again."""
        try:
            webhooks = await self._services.cvat.webhooks()
            for webhook in webhooks:
                if (found := self._ours(webhook)) is not None:
                    await self._catch_up_on(webhook, *found)
        except CvatRefused as error:
            self._health.reconciler = f"missed deliveries are not caught up on: {error.message}"
            log.event("deliveries_not_listed", level=logging.WARNING, error=error)
            return
        self._health.reconciler = None
        metrics.RECONCILED.set_to_current_time()
        log.event("deliveries_checked", level=logging.DEBUG)

    def _ours(self, webhook: Webhook) -> tuple[WebhookHandler, Any] | None:
        """Which of ours `webhook` calls, and its parameters; None where it points elsewhere or asks for nonsense."""
        base = self._services.settings.public_url
        if not webhook.target_url.startswith(base):
            return None
        parts = urlsplit(webhook.target_url[len(base) :])
        ours = self._ours_by_path.get(parts.path)
        if ours is None:
            return None
        try:
            return ours, ours.hook.parse(parts.query)
        except KelpError as error:
            log.event("webhook_unusable", level=logging.WARNING, webhook=webhook.id, error=error)
            return None

    async def _catch_up_on(self, webhook: Webhook, ours: WebhookHandler, parameters: Any) -> None:
        name = f"deliveries:{self._services.settings.instance}:{webhook.id}"
        seen = int(await self._services.database.read(partial(facts.get, name=name)) or 0)
        horizon = await self._horizon()
        found: list[Delivery] = []
        try:
            async for delivery in self._services.cvat.deliveries(webhook.id):
                if delivery.id <= seen or _time(delivery) < horizon:
                    break
                found.append(delivery)
        except CvatGone:  # the webhook was deleted meanwhile
            return
        done = seen
        for delivery in sorted(found, key=lambda delivery: delivery.id):
            if delivery.status is None and time.time() - _time(delivery) < UNDER_WAY_S:
                break
            if was_missed(delivery.status):
                await self._take(webhook, delivery, ours, parameters)
            done = delivery.id
        if done > seen:
            await self._services.database.write(partial(facts.put, name=name, value=str(done)))

    async def _take(self, webhook: Webhook, delivery: Delivery, ours: WebhookHandler, parameters: Any) -> None:
        try:
            with tracing.span("missed delivery", {"kelp.delivery": delivery.id}):
                _, answer = await ours.take(delivery.payload, parameters)
        except KelpError as error:
            if error.status >= 500:
                raise
            log.event("delivery_refused", webhook=webhook.id, delivery=delivery.id, error=error)
            return
        if answer["outcome"] == "accepted":
            metrics.CAUGHT_UP.inc()
            log.event("delivery_caught_up", webhook=webhook.id, delivery=delivery.id, run=answer["run"])

    async def _horizon(self) -> float:
        return max(await self.note_first_start(), time.time() - self._services.settings.reconcile_days * 86400.0)


def was_missed(status: int | None) -> bool:
    """Whether a delivery with this status needs another look: our own 400s and 404s are final."""
    return status is None or status >= 500 or status == 401


def _time(delivery: Delivery) -> float:
    try:
        return datetime.datetime.fromisoformat(delivery.created_date).timestamp()
    except ValueError:
        return time.time()
