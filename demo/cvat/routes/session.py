"""Login and logout. A user has one token; every logout ends it for all of the user's programs."""

from __future__ import annotations

import secrets

from starlette.responses import Response

from demo.cvat import auth, clock
from demo.cvat.errors import bad_request, forbidden
from demo.cvat.http import Call, Routes, reply
from demo.cvat.tables import User


def register(routes: Routes) -> None:
    routes.add("POST", "/auth/login", is_open=True)(login)
    routes.add("POST", "/auth/logout")(logout)


def login(call: Call) -> Response:
    if auth.SESSION_COOKIE in call.request.cookies and not call.headers.get("x-csrftoken"):
        raise forbidden("CSRF Failed: CSRF token missing.")
    fields = call.fields()
    name, password = fields.get("username") or fields.get("email"), fields.get("password")
    if not name or not password:
        raise bad_request(['Must include either "username" or "email" and "password".'])
    with call.state.lock:
        user = call.state.user_named(name)
        if user is None or user.password != password:
            raise bad_request({"non_field_errors": ["Unable to log in with provided credentials."]})
        user.last_login = clock.now()
        key = _token(call, user) or secrets.token_hex(20)
        call.state.tokens[key] = user
        session = secrets.token_hex(16)
        call.state.sessions[session] = user
    response = reply({"key": key})
    response.set_cookie(auth.CSRF_COOKIE, secrets.token_hex(16), samesite="lax")
    response.set_cookie(auth.SESSION_COOKIE, session, httponly=True, samesite="lax")
    return response


def _token(call: Call, user: User) -> str | None:
    return next((key for key, owner in call.state.tokens.items() if owner is user), None)


def logout(call: Call) -> Response:
    with call.state.lock:
        if key := _token(call, call.user):
            del call.state.tokens[key]
        call.state.sessions.pop(call.request.cookies.get(auth.SESSION_COOKIE, ""), None)
    response = reply({"detail": "Successfully logged out."})
    response.delete_cookie(auth.SESSION_COOKIE)
    return response
