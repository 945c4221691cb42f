"""The REST side of the endpoint, raw ASGI: V2's paths for all models. Only inference reaches a model's process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from kelp.card.metadata import server_metadata
from kelp.card.openapi import openapi
from kelp.errors import InvalidRequest, KelpError, NotFound
from kelp.local.auth import Guard
from kelp.local.caller import Caller, Left, Receive, Scope, Send
from kelp.local.log import event
from kelp.local.metrics import CONTENT_TYPE
from kelp.local.proxy_rest import answer, forward
from kelp.local.supervisor import Supervisor
from kelp.local.upstream import Broken

_SMALL_BODY = 65536


class App:
    """`GET /v2/health/live` and `…/ready` are the endpoint's own and open to all; a model's `ready` wakes it."""

    def __init__(self, supervisor: Supervisor, guard: Guard, stopping: Callable[[], bool]) -> None:
        self._all = supervisor
        self._guard = guard
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun = _Begun(send)
        try:
            await self._route(scope, receive, begun)
        except Left:
            return
        except KelpError as error:
            if begun.yes:
                raise
            await _refuse(send, error)
        except Broken as error:
            # The answer cannot be mended any more; the connection is closed, so that the caller sees that it is cut.
            event("answer_cut", level="warning", path=scope["path"], error=str(error))

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["raw_path"].decode("ascii", "replace")
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[:2] == ["v2", "health"] and len(parts) == 3:
            await self._health(method, parts[2], send)
            return
        self._guard.check(next((v for k, v in scope["headers"] if k == b"authorization"), None))
        match parts:
            case ["v2"]:
                _only(method, "GET")
                await _json(send, server_metadata("kelp up"))
            case ["openapi.json"]:
                _only(method, "GET")
                await _json(send, openapi(self._all.names(), title="kelp up", unloads=True))
            case ["v2", "models"]:
                _only(method, "GET")
                await _json(send, {"models": self._all.names()})
            case ["v2", "repository", "index"]:
                _only(method, "GET", "POST")
                await _json(send, self._all.index(ready_only=await _ready_only(receive)))
            case ["v2", "repository", "models", name, "load" | "unload" as what]:
                _only(method, "POST")
                model = self._all.model(name)
                async with Caller(scope, receive, _SMALL_BODY):
                    await (self._all.load(model) if what == "load" else self._all.unload(model))
                await _json(send, {"name": name, what: True})
            case ["v2", "models", name, *rest]:
                await self._model(name, rest, scope, receive, send)
            case ["metrics"]:
                _only(method, "GET")
                text = self._all.metrics.render(self._all.states())
                await answer(send, 200, text.encode(), [(b"content-type", CONTENT_TYPE.encode())])
            case _:
                raise NotFound(f"no such path: {path[:200]}")

    async def _model(self, name: str, rest: list[str], scope: Scope, receive: Receive, send: Send) -> None:
        version = None
        if rest[:1] == ["versions"] and len(rest) >= 2:
            version, rest = rest[1], rest[2:]
        model = self._all.model(name, version)
        match rest:
            case []:
                _only(scope["method"], "GET")
                await _json(send, self._all.metadata(model))
            case ["ready"]:
                _only(scope["method"], "GET")
                async with Caller(scope, receive, _SMALL_BODY):
                    await self._all.load(model)
                await _json(send, {"name": name, "ready": True})
            case ["infer"]:
                _only(scope["method"], "POST")
                await forward(model, scope, receive, send)
            case _:
                raise NotFound(f"no such path below model '{name}': {'/'.join(rest)[:200]}")

    async def _health(self, method: str, what: str, send: Send) -> None:
        _only(method, "GET")
        if what == "live":
            return await _json(send, {"live": True})
        if what != "ready":
            raise NotFound(f"no such path: /v2/health/{what[:200]}")
        ready = not self._stopping()
        return await _json(send, {"ready": ready}, 200 if ready else 503)


class _Begun:
    """`send` that remembers whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.yes = False

    async def __call__(self, message: dict[str, Any]) -> None:
        self.yes = True
        await self._send(message)


class _WrongMethod(InvalidRequest):
    status = 405
    default_code = "method_not_allowed"


def _only(method: str, *allowed: str) -> None:
    if method not in allowed and not (method == "HEAD" and "GET" in allowed):
        raise _WrongMethod(f"{method} is not for this path; expected {' or '.join(allowed)}")


async def _json(send: Send, body: Any, status: int = 200) -> None:
    await answer(send, status, json.dumps(body, ensure_ascii=False).encode())


async def _refuse(send: Send, error: KelpError) -> None:
    headers = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, round(error.retry_after_s))).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await answer(send, error.status, json.dumps(error.to_json(), ensure_ascii=False).encode(), headers)


async def _ready_only(receive: Receive) -> bool:
    """Whether the index's body, `{"ready": true}`, asks for those that are ready."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Left
        body += message.get("body", b"")
        if len(body) > _SMALL_BODY:
            raise InvalidRequest("body: expected a small JSON object")
        if not message.get("more_body", False):
            break
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        raise InvalidRequest("body: expected a JSON object") from None
    return isinstance(given, dict) and given.get("ready") is True
