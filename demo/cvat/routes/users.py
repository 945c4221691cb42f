"""`/api/users`."""

from __future__ import annotations

from starlette.responses import Response

from demo.cvat import lists
from demo.cvat.http import Call, Routes, reply
from demo.cvat.tables import Json, User

TERMS: lists.Terms[User] = {"id": lambda row: row.id, "username": lambda row: row.username}


def register(routes: Routes) -> None:
    routes.add("GET", "/users/self")(myself)
    routes.add("GET", "/users")(listed)


def myself(call: Call) -> Response:
    with call.state.lock:
        return reply(call.view.account(call.user))


def listed(call: Call) -> Response:
    """All of them for the administrator, oneself for anybody else."""

    def view(row: User) -> Json:
        return call.view.account(row) if call.user.superuser else call.view.user(row) or {}

    with call.state.lock:
        rows = call.state.users.values() if call.user.superuser else [call.user]
        return reply(lists.page(call, lists.select(rows, call.query, {}, TERMS), view))
