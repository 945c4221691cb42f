"""`/api/labels`."""

from __future__ import annotations

from starlette.responses import Response

from demo.cvat import auth, views
from demo.cvat.errors import bad_request, forbidden
from demo.cvat.http import Call, Routes, reply
from demo.cvat.labels import drop_annotations, update_label
from demo.cvat.lists import page
from demo.cvat.tables import Json, Label, Project, Task

Owned = tuple[Label, tuple[str, int]]


def register(routes: Routes) -> None:
    routes.add("GET", "/labels")(listed)
    routes.add("GET", "/labels/{id}")(read)
    routes.add("PATCH", "/labels/{id}")(update)
    routes.add("DELETE", "/labels/{id}")(delete)


def _owned(row: Project | Task) -> list[Owned]:
    if isinstance(row, Task) and row.project is not None:
        row = row.project
    owner = ("project_id" if isinstance(row, Project) else "task_id", row.id)
    return [(label, owner) for label in row.labels]


def listed(call: Call) -> Response:
    """Labels of a project, a task or a job, in order of their ids; of all one may see where none is named."""
    with call.state.lock:
        holders: list[Project | Task]
        if "project_id" in call.query:
            holders = [call.state.project(_number(call, "project_id"))]
        elif "task_id" in call.query:
            holders = [call.state.task(_number(call, "task_id"))]
        elif "job_id" in call.query:
            holders = [call.state.job(_number(call, "job_id")).task]
        else:
            holders = [task for task in call.state.tasks.values() if task.project is None]
            holders += call.state.projects.values()
            holders = [row for row in holders if auth.may(call.user, row)]
        for row in holders:
            auth.check(call.user, row)
        rows = sorted((item for row in holders for item in _owned(row)), key=lambda item: item[0].id)
        if "name" in call.query:
            rows = [item for item in rows if item[0].name == call.query["name"]]
        return reply(page(call, rows, lambda item: views.label(*item)))


def _number(call: Call, name: str) -> int:
    try:
        return int(call.query[name])
    except ValueError:
        raise bad_request({name: ["Enter a number."]}) from None


def _view(call: Call, label: Label, project: Project | None) -> Json:
    task = next((row.id for row in call.state.tasks.values() if label in row.labels), 0)
    return views.label(label, ("project_id", project.id) if project else ("task_id", task))


def read(call: Call) -> Response:
    with call.state.lock:
        label, project = call.state.label(call.id)
        if project is not None:
            auth.check(call.user, project)
        return reply(_view(call, label, project))


def update(call: Call) -> Response:
    fields = call.fields()
    with call.state.lock:
        label, project = call.state.label(call.id)
        if project is None:
            raise forbidden()
        auth.check(call.user, project)
        update_label(call.state, label, fields)
        call.change().touch(project)
        return reply(_view(call, label, project))


def delete(call: Call) -> Response:
    with call.state.lock:
        label, project = call.state.label(call.id)
        if project is None:
            raise forbidden()
        auth.check(call.user, project)
        jobs = [job for job in call.state.jobs.values() if job.task.project is project]
        drop_annotations(call.state, label, jobs)
        project.labels.remove(label)
        call.change().touch(project)
    return reply(status=204)
