"""A webhook: verified, understood, written down, answered. Nothing else happens on this way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from bridge import log, metrics
from bridge.edge.access import Access
from bridge.edge.answers import send_error, send_json
from bridge.edge.body import read_body
from bridge.edge.hooks import Hook
from bridge.edge.trace import parent_of
from bridge.events.payload import Ignored, Ping
from bridge.events.signature import HEADER, is_signed
from bridge.store.intake import Intake
from kelp import tracing
from kelp.errors import InvalidRequest, KelpError, Unauthorized

# CVAT's payloads are 1 to 5 kB.
BODY_LIMIT = 1 << 20


class WebhookHandler:
    """`hook` says what is meant by a delivery, and what run it makes."""

    def __init__(self, hook: Hook, intake: Intake, access: Access, on_new: Callable[[], None]) -> None:
        self.hook = hook
        self._intake = intake
        self._access = access
        self._on_new = on_new

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = self.hook.kind
        with tracing.span(f"webhook {kind}", kind="server", parent=parent_of(scope)) as span:
            try:
                status, answer = await self._answer(scope, receive)
            except KelpError as error:
                span.fail(error.code)
                metrics.WEBHOOKS.labels(kind, error.code).inc()
                log.event("webhook_refused", status=error.status, error=error)
                await send_error(send, error)
                return
            span.set({"kelp.outcome": answer["outcome"], "kelp.run": answer.get("run", "")})
            metrics.WEBHOOKS.labels(kind, answer["outcome"]).inc()
            await send_json(send, status, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, dict[str, Any]]:
        body = await read_body(scope, receive, BODY_LIMIT)
        self._verify(scope, body)
        parameters = self.hook.parse(scope["query_string"])
        return await self.take(decode(body), parameters)

    def _verify(self, scope: Scope, body: bytes) -> None:
        if not self._access.secrets:
            self._access.check_unsigned(scope)
            return
        signature = next((value for name, value in scope["headers"] if name == HEADER), None)
        if not is_signed(body, signature, self._access.secrets):
            raise Unauthorized("the signature does not fit the body and a secret of KELP_WEBHOOK_SECRETS")

    async def take(self, payload: Any, parameters: Any) -> tuple[int, dict[str, Any]]:
        """Status and answer for a decoded payload; the reconciler comes in here too."""
        meaning = self.hook.read(payload)
        if isinstance(meaning, Ping):
            await self.hook.check(parameters)
            return 200, {"outcome": "pong"}
        if isinstance(meaning, Ignored):
            return 200, {"outcome": "ignored", "reason": meaning.reason}
        if not meaning.triggers & parameters.on:
            wanted = ", ".join(sorted(parameters.on))
            happened = ", ".join(sorted(meaning.triggers))
            return 200, {"outcome": "ignored", "reason": f"this webhook acts on {wanted}, not on {happened}"}
        await self.hook.check(parameters)
        run = self.hook.run(meaning, parameters)
        is_new = await self._intake.accept(run)
        log.boundary("run_accepted", run=run.id)
        if is_new:
            self._on_new()
        outcome = "accepted" if is_new else "repeated"
        answer = {"outcome": outcome, "run": run.id, "url": f"/api/v1/runs/{run.id}"}
        return (202 if is_new else 200), answer


def decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"body: not JSON ({error})") from None
