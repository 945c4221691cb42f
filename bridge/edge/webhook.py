"""`POST /detect-model-webhook`: verified, understood, written down, answered. Nothing else happens on this way."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from bridge import log, metrics
from bridge.edge.access import Access
from bridge.edge.answers import send_error, send_json
from bridge.edge.body import read_body
from bridge.edge.trace import parent_of
from bridge.events.key import delivery_key
from bridge.events.parameters import DetectParameters, parse_query
from bridge.events.payload import Event, Ignored, Ping, read_payload
from bridge.events.signature import HEADER, is_signed
from bridge.models.catalog import Catalog
from bridge.runs.limits import BATCH, INTERACTIVE
from bridge.store.intake import Intake, NewRun
from kelp import tracing
from kelp.errors import InvalidRequest, KelpError, Unauthorized

DETECT_PATH = "/detect-model-webhook"
# CVAT's payloads are 1 to 5 kB.
BODY_LIMIT = 1 << 20


class DetectWebhook:
    def __init__(
        self, intake: Intake, catalog: Catalog, access: Access, instance: str, on_new: Callable[[], None]
    ) -> None:
        self._intake = intake
        self._catalog = catalog
        self._access = access
        self._instance = instance
        self._on_new = on_new
        # CVAT sends the same few queries over and over.
        self._parse = lru_cache(maxsize=256)(parse_query)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with tracing.span("webhook detect", kind="server", parent=parent_of(scope)) as span:
            try:
                status, answer = await self._answer(scope, receive)
            except KelpError as error:
                span.fail(error.code)
                metrics.WEBHOOKS.labels("detect", error.code).inc()
                log.event("webhook_refused", status=error.status, error=error)
                await send_error(send, error)
                return
            span.set({"kelp.outcome": answer["outcome"], "kelp.run": answer.get("run", "")})
            metrics.WEBHOOKS.labels("detect", answer["outcome"]).inc()
            await send_json(send, status, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, dict[str, Any]]:
        body = await read_body(scope, receive, BODY_LIMIT)
        self._verify(scope, body)
        parameters = self._parse(scope["query_string"], self._catalog.own_settings)
        return await self.take(decode(body), parameters)

    def _verify(self, scope: Scope, body: bytes) -> None:
        if not self._access.secrets:
            self._access.check_unsigned(scope)
            return
        signature = next((value for name, value in scope["headers"] if name == HEADER), None)
        if not is_signed(body, signature, self._access.secrets):
            raise Unauthorized("the signature does not fit the body and a secret of KELP_WEBHOOK_SECRETS")

    async def take(self, payload: Any, parameters: DetectParameters) -> tuple[int, dict[str, Any]]:
        """Status and answer for a decoded payload; the reconciler comes in here too."""
        meaning = read_payload(payload)
        if isinstance(meaning, Ping):
            await self._catalog.check(parameters)
            return 200, {"outcome": "pong"}
        if isinstance(meaning, Ignored):
            return 200, {"outcome": "ignored", "reason": meaning.reason}
        if not meaning.triggers & parameters.on:
            wanted = ", ".join(sorted(parameters.on))
            happened = ", ".join(sorted(meaning.triggers))
            return 200, {"outcome": "ignored", "reason": f"this webhook acts on {wanted}, not on {happened}"}
        await self._catalog.check(parameters)
        run = self._run(meaning, parameters)
        is_new = await self._intake.accept(run)
        log.boundary("run_accepted", run=run.id)
        if is_new:
            self._on_new()
        outcome = "accepted" if is_new else "repeated"
        answer = {"outcome": outcome, "run": run.id, "url": f"/api/v1/runs/{run.id}"}
        return (202 if is_new else 200), answer

    def key(self, event: Event, parameters: DetectParameters) -> str:
        return delivery_key(self._instance, DETECT_PATH, event, parameters)

    def _run(self, event: Event, parameters: DetectParameters) -> NewRun:
        (cause,) = event.triggers
        return NewRun(
            id=self.key(event, parameters),
            kind="detect",
            # Jobs that are annotated as they are created come by the dozen, and nobody sits before them yet.
            priority=BATCH if cause == "created" else INTERACTIVE,
            instance=self._instance,
            project_id=event.project_id,
            task_id=event.task_id,
            job_id=event.object_id,
            model=parameters.model,
            parameters=parameters.canonical,
            event=event.name,
            cause=cause,
            caused_by=event.sender,
            created_at=time.time(),
            trace=tracing.traceparent(),
        )


def decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"body: not JSON ({error})") from None
