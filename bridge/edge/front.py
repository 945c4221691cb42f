"""The ASGI application of the main listener: webhooks go straight to their handler, the rest to the API."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.edge.access import Access
from bridge.edge.answers import send_error
from kelp.errors import InvalidRequest, KelpError, NotSupported

_OPEN = ("/health/live", "/health/ready")


class MethodNotAllowed(NotSupported):
    status = 405
    default_code = "method_not_allowed"


class Front:
    """`webhooks`: handler by path; `api`: everything else, behind `access`."""

    def __init__(self, webhooks: Mapping[str, ASGIApp], api: ASGIApp, access: Access) -> None:
        self._webhooks = dict(webhooks)
        self._api = api
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        path = scope["path"]
        try:
            if "\0" in path or b"%00" in scope["query_string"]:
                raise InvalidRequest("address: holds a NUL character")  # no name, number or id has one
            handler = self._webhooks.get(path)
            if handler is not None:
                if scope["method"] != "POST":
                    raise MethodNotAllowed(f"{path}: expected POST")
                await handler(scope, receive, send)
                return
            if path not in _OPEN:
                self._access.check_api(scope)
        except KelpError as error:
            await send_error(send, error)
            return
        await self._api(scope, receive, send)
