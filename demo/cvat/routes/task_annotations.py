"""`/api/tasks/{id}/annotations`: a view over the task's jobs, the later ones first.

What is written goes into every job that has the frame, and is dropped where none has it; of shapes that are equal in
overlapping jobs one is shown.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from demo.cvat.annotation_checks import KINDS, check
from demo.cvat.annotations import Store
from demo.cvat.errors import bad_request, text_page
from demo.cvat.http import Call, Routes, reply
from demo.cvat.routes.annotations import touch
from demo.cvat.routes.tasks import task_of
from demo.cvat.tables import Job, Json, Task


def register(routes: Routes) -> None:
    routes.add("GET", "/tasks/{id}/annotations")(read)
    routes.add("PUT", "/tasks/{id}/annotations")(replace)
    routes.add("PATCH", "/tasks/{id}/annotations")(patch)
    routes.add("DELETE", "/tasks/{id}/annotations")(delete)


def _jobs(call: Call, task: Task) -> list[Job]:
    jobs = [job for job in call.state.jobs_of(task) if job.type == "annotation"]
    return jobs[::-1]


def read(call: Call) -> Response:
    with call.state.lock:
        task = task_of(call)
        if task.data is None:
            raise text_page(400, "Exporting annotations from a task without data is not allowed")
        answer: Json = {"version": 0} | {kind: [] for kind in KINDS}
        for job in _jobs(call, task)[::-1]:
            _merge(answer, Store(call.state, job).read())
        return reply(answer)


def _merge(answer: Json, part: Json) -> None:
    for kind in KINDS:
        seen = [_content(row) for row in answer[kind]]
        answer[kind] += [row for row in part[kind] if _content(row) not in seen]


def _content(row: Json) -> dict[str, Any]:
    return {
        name: [_content(item) for item in value] if name in ("elements", "shapes") else value
        for name, value in row.items()
        if name != "id"
    }


def _within(job: Job, body: Json) -> Json:
    return {kind: [row for row in body.get(kind, []) if job.start <= row["frame"] <= job.stop] for kind in KINDS}


def _write(call: Call, task: Task, body: Json, action: str) -> Json:
    check(body, task.all_labels(), with_ids=action in ("update", "delete"))
    answer: Json = {"version": 0} | {kind: [] for kind in KINDS}
    for job in _jobs(call, task):
        store, part = Store(call.state, job), _within(job, body)
        touched = any(part.values())
        if action == "replace":
            touched = touched or not store.empty
            store.clear()
        if not touched:
            continue
        handlers = {"create": store.create, "replace": store.create, "update": store.update, "delete": store.delete}
        made = handlers[action](part)
        _merge(answer, made)
        touch(call, job)
    return answer


def replace(call: Call) -> Response:
    body = call.fields()
    with call.state.lock:
        return reply(_write(call, task_of(call), body, "replace"))


def patch(call: Call) -> Response:
    action = call.query.get("action")
    with call.state.lock:
        task = task_of(call)
        if action not in ("create", "update", "delete"):
            raise bad_request(["Please specify a correct 'action' for the request"])
        if task.data is None:
            raise bad_request("'NoneType' object has no attribute 'validation_mode'")
        return reply(_write(call, task, call.fields(), action))


def delete(call: Call) -> Response:
    with call.state.lock:
        task = task_of(call)
        for job in _jobs(call, task):
            store = Store(call.state, job)
            if not store.empty:
                store.clear()
                touch(call, job)
    return reply(status=204)
