"""The ASGI application: routes, and what every request goes through before its handler."""

from __future__ import annotations

import gzip
import json
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from demo.cvat import auth
from demo.cvat.errors import NOT_FOUND_PAGE, Refusal, bad_request, server_error, text_page, unauthorized
from demo.cvat.events import Change
from demo.cvat.tables import Organization, User
from demo.cvat.views import View

if TYPE_CHECKING:
    from demo.cvat.server import Server

JSON_TYPE = "application/vnd.cvat+json"
NO_CACHE = {"Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private"}
GZIP_FROM = 200
"""Django compresses answers of at least so many bytes for those who accept it."""


class Call:
    """One request: who asks, for what, and the means to answer."""

    def __init__(self, server: Server, request: Request, body: bytes, path: Mapping[str, str]) -> None:
        self.server = server
        self.state = server.state
        self.request = request
        self.headers = request.headers
        self.query: QueryParams = request.query_params
        self.body = body
        self.path = path
        self.base = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
        self.view = View(self.state, self.base)
        self._user: User | None = None
        self.organization: Organization | None = None
        self.personal_only = False
        """An empty organization was named: lists show only what belongs to none."""

    @property
    def user(self) -> User:
        if self._user is None:
            raise RuntimeError("a handler of an open endpoint asks for the user")
        return self._user

    @user.setter
    def user(self, user: User) -> None:
        self._user = user

    @property
    def id(self) -> int:
        """The number in the path."""
        return int(self.path["id"])

    def change(self) -> Change:
        return Change(self.state, self.server.sender, self.user, self.base)

    def json(self) -> Any:
        media_type = self.headers.get("content-type", "application/json").split(";")[0].strip()
        if media_type != "application/json":
            raise Refusal(415, {"detail": f'Unsupported media type "{media_type}" in request.'})
        if not self.body:
            return {}
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise bad_request({"detail": f"JSON parse error - {error}"}) from None

    def fields(self) -> dict[str, Any]:
        """The body, an object; anything else ends in the server's error page as in the original."""
        value = self.json()
        if not isinstance(value, dict):
            raise server_error()
        return value


Handler = Callable[[Call], Response]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    is_open: bool
    """Whether it answers without credentials."""


class Routes:
    """Handlers by method and path; `{id}` is a number, `{name}` anything without a slash."""

    def __init__(self) -> None:
        self.all: list[Route] = []

    def add(self, method: str, path: str, *, is_open: bool = False) -> Callable[[Handler], Handler]:
        names = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)

        def register(handler: Handler) -> Handler:
            self.all.append(Route(method, re.compile(f"/api{names}"), handler, is_open))
            return handler

        return register

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        path = path.removesuffix("/")
        if method == "HEAD":
            if path.endswith("/data"):
                raise server_error()
            method = "GET"
        others = None
        for route in self.all:
            if match := route.pattern.fullmatch(path):
                if route.method == method:
                    return route, match.groupdict()
                others = route
        if others is None:
            raise text_page(404, NOT_FOUND_PAGE)
        return Route(method, others.pattern, _not_allowed, others.is_open), {}


def _not_allowed(call: Call) -> Response:
    raise Refusal(405, {"detail": f'Method "{call.request.method}" not allowed.'})


def reply(body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`body` as JSON; None is an empty answer."""
    if body is None:
        return Response(status_code=status, headers=dict(headers or {}))
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(content, status, dict(headers or {}), JSON_TYPE)


def located(body: dict[str, Any]) -> Response:
    return reply(body, 201, {"Location": body["url"]} if "url" in body else None)


class Application:
    """The ASGI callable."""

    def __init__(self, server: Server, routes: Routes) -> None:
        self._server = server
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        response = await run_in_threadpool(self._answer, request, body)
        await response(scope, receive, send)

    def _answer(self, request: Request, body: bytes) -> Response:
        try:
            route, path = self._routes.find(request.method, request.scope["path"])
            if path.get("id", "0").isdigit():
                call = Call(self._server, request, body, path)
                self._admit(call, route)
                response = route.handler(call)
            else:
                response = reply({"detail": "Not found."}, 404)
        except Refusal as refusal:
            response = _refused(refusal)
        except Exception:
            # As in the original, what nobody thought of ends in the server's error page, never in a closed connection.
            traceback.print_exc()
            response = _refused(server_error())
        return _compressed(request, response)

    def _admit(self, call: Call, route: Route) -> None:
        with self._server.state.lock:
            user = auth.user_of(call)
        if user is not None:
            call.user = user
        elif not route.is_open:
            raise unauthorized()
        else:
            self._server.limit.check(call.request.client.host if call.request.client else "")
        _negotiate(call.headers.get("accept", "*/*"))
        if user is not None:
            auth.choose_organization(call)


def _negotiate(accept: str) -> None:
    for part in accept.split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        if media_type in (JSON_TYPE, "application/*", "*/*"):
            if any(piece.startswith("version=") and piece != "version=2.0" for piece in parameters):
                raise Refusal(406, {"detail": 'Invalid version in "Accept" header.'})
            return
    raise Refusal(406, {"detail": "Could not satisfy the request Accept header."})


def _refused(refusal: Refusal) -> Response:
    if refusal.media_type is None:
        return reply(refusal.body, refusal.status, refusal.headers)
    return Response(refusal.body, refusal.status, refusal.headers, refusal.media_type)


def _compressed(request: Request, response: Response) -> Response:
    content = bytes(response.body)
    compressible = response.media_type == JSON_TYPE and len(content) >= GZIP_FROM
    if not compressible or "gzip" not in request.headers.get("accept-encoding", ""):
        return response
    packed = gzip.compress(content, compresslevel=1)
    response.body = packed
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(packed))
    return response
