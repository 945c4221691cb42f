"""`/api/requests`: following the import of a task's data."""

from __future__ import annotations

from starlette.responses import Response

from demo.cvat import clock, views
from demo.cvat.errors import HTML, Refusal, bad_request, forbidden
from demo.cvat.http import NO_CACHE, Call, Routes, reply
from demo.cvat.lists import page
from demo.cvat.tables import Import


def register(routes: Routes) -> None:
    routes.add("GET", "/requests")(listed)
    routes.add("GET", "/requests/{rq}")(read)
    routes.add("POST", "/requests/{rq}/cancel")(cancel)


def _visible(row: Import) -> bool:
    expired = row.expires is not None and row.expires < clock.now()
    return not expired and not row.cancelled


def _request(call: Call) -> Import:
    row = next((row for row in call.state.imports.values() if row.id == call.path["rq"]), None)
    if row is None or not _visible(row):
        raise Refusal(404, "There is no request with specified id", media_type=HTML, headers=NO_CACHE)
    if row.task.id not in call.state.tasks:
        raise bad_request(["Task matching query does not exist."])
    if not (call.user.superuser or row.owner is call.user):
        raise forbidden()
    return row


def listed(call: Call) -> Response:
    """The caller's own, newest first; those of tasks that have been deleted are still among them."""
    with call.state.lock:
        rows = [row for row in call.state.imports.values() if row.owner is call.user and _visible(row)]
        if "task_id" in call.query:
            rows = [row for row in rows if str(row.task.id) == call.query["task_id"]]
        if "status" in call.query:
            rows = [row for row in rows if row.status == call.query["status"]]
        if call.query.get("action", "create") != "create":
            rows = []
        rows.sort(key=lambda row: row.created, reverse=True)
        response = reply(page(call, rows, views.background_request))
        response.headers.update(NO_CACHE)
        return response


def read(call: Call) -> Response:
    with call.state.lock:
        return reply(views.background_request(_request(call)), headers=NO_CACHE)


def cancel(call: Call) -> Response:
    """The request is gone at once; an import that has begun completes all the same."""
    with call.state.lock:
        row = _request(call)
        if row.running:
            row.cancelled = True
    return reply(status=200, headers=NO_CACHE)
