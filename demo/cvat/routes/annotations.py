"""`/api/jobs/{id}/annotations`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.responses import Response

from demo.cvat.annotation_checks import KINDS, check
from demo.cvat.annotations import Store
from demo.cvat.errors import bad_request
from demo.cvat.http import Call, Routes, reply
from demo.cvat.routes.jobs import job_of
from demo.cvat.tables import Job, Json


def register(routes: Routes) -> None:
    routes.add("GET", "/jobs/{id}/annotations")(read)
    routes.add("PUT", "/jobs/{id}/annotations")(replace)
    routes.add("PATCH", "/jobs/{id}/annotations")(patch)
    routes.add("DELETE", "/jobs/{id}/annotations")(delete)


@contextmanager
def _taking(seconds: float) -> Iterator[None]:
    """Hold the answer back until `seconds` have passed."""
    began = time.monotonic()
    yield
    time.sleep(max(0.0, began + seconds - time.monotonic()))


def touch(call: Call, job: Job) -> None:
    """Saving annotations changes the dates of the job, its task and its project, and tells of all three."""
    change = call.change()
    with change.job(job):
        pass
    with change.task(job.task):
        pass
    change.touch(job.task.project)


def _count(body: Json) -> int:
    shapes = body.get("shapes")
    return len(shapes) if isinstance(shapes, list) else 0


def read(call: Call) -> Response:
    with call.state.lock:
        job = job_of(call)
        count = len(job.shapes)
        body = Store(call.state, job).read()
    with _taking(count * call.server.settings.speed.read):
        return reply(body)


def replace(call: Call) -> Response:
    body = call.fields()
    with _taking(_count(body) * call.server.settings.speed.create), call.state.lock:
        job = job_of(call)
        check(body, job.task.all_labels(), with_ids=False)
        store = Store(call.state, job)
        touched = not store.empty or any(body.get(kind) for kind in KINDS)
        store.clear()
        response = reply(store.create(body))
        if touched:
            touch(call, job)
    return response


def patch(call: Call) -> Response:
    action = call.query.get("action")
    if action not in ("create", "update", "delete"):
        with call.state.lock:
            job_of(call)
        raise bad_request(["Please specify a correct 'action' for the request"])
    body = call.fields()
    speed = call.server.settings.speed
    seconds = {"create": speed.create, "update": speed.update, "delete": 0.0}[action]
    with _taking(_count(body) * seconds), call.state.lock:
        job = job_of(call)
        check(body, job.task.all_labels(), with_ids=action != "create")
        store = Store(call.state, job)
        answer = {"create": store.create, "update": store.update, "delete": store.delete}[action](body)
        response = reply(answer)
        if any(body.get(kind) for kind in KINDS):
            touch(call, job)
    return response


def delete(call: Call) -> Response:
    with call.state.lock:
        job = job_of(call)
        store = Store(call.state, job)
        touched = not store.empty
        store.clear()
        if touched:
            touch(call, job)
    return reply(status=204)
