"""`/api/projects`."""

from __future__ import annotations

from starlette.responses import Response

from demo.cvat import auth, clock, lists
from demo.cvat.errors import bad_request, forbidden, required
from demo.cvat.http import Call, Routes, located, reply
from demo.cvat.labels import add_labels, change_labels
from demo.cvat.routes.tasks import drop_task
from demo.cvat.tables import Project

TERMS: lists.Terms[Project] = {
    "id": lambda row: row.id,
    "name": lambda row: row.name,
    "owner": lambda row: row.owner.username,
    "assignee": lambda row: row.assignee.username if row.assignee else None,
    "status": lambda row: "annotation",
    "created_date": lambda row: row.created,
    "updated_date": lambda row: row.updated,
}
SIMPLE: lists.Terms[Project] = {name: TERMS[name] for name in ("name", "owner", "assignee", "status")}
CHANGEABLE = {"name", "assignee_id", "bug_tracker", "labels", "owner_id", "source_storage", "target_storage"}


def register(routes: Routes) -> None:
    routes.add("GET", "/projects")(listed)
    routes.add("POST", "/projects")(create)
    routes.add("GET", "/projects/{id}")(read)
    routes.add("PATCH", "/projects/{id}")(update)
    routes.add("DELETE", "/projects/{id}")(delete)


def _project(call: Call) -> Project:
    row = call.state.project(call.id)
    auth.check(call.user, row)
    return row


def listed(call: Call) -> Response:
    with call.state.lock:
        rows = [row for row in call.state.projects.values() if auth.may(call.user, row) and auth.in_scope(call, row)]
        return reply(lists.page(call, lists.select(rows, call.query, SIMPLE, TERMS), call.view.project))


def create(call: Call) -> Response:
    fields = call.fields()
    if "name" not in fields:
        raise required("name")
    if not fields["name"]:
        raise bad_request({"name": ["This field may not be blank."]})
    if call.organization is not None and call.organization.members.get(call.user.id) == "worker":
        raise forbidden()
    with call.state.lock:
        labels = add_labels(call.state, fields.get("labels", []))
        row = Project(
            call.state.next_id("project"),
            fields["name"],
            call.user,
            clock.now(),
            clock.now(),
            call.organization,
            bug_tracker=fields.get("bug_tracker", ""),
            labels=labels,
        )
        call.state.projects[row.id] = row
        call.change().created("project", row)
        return located(call.view.project(row))


def read(call: Call) -> Response:
    with call.state.lock:
        return reply(call.view.project(_project(call)))


def update(call: Call) -> Response:
    fields = call.fields()
    with call.state.lock:
        row = _project(call)
        if not set(fields) <= CHANGEABLE:
            raise forbidden("Attempted to update an unknown field")
        labels = change_labels(call.state, row, fields["labels"]) if "labels" in fields else None
        with call.change().project(row):
            row.name = fields.get("name", row.name)
            row.bug_tracker = fields.get("bug_tracker", row.bug_tracker)
            if labels is not None:
                row.labels = labels
            if "assignee_id" in fields:
                row.assignee = call.state.users.get(fields["assignee_id"] or 0)
                row.assignee_updated = clock.now()
        return reply(call.view.project(row))


def delete(call: Call) -> Response:
    with call.state.lock:
        remove(call, _project(call))
    return reply(status=204)


def remove(call: Call, row: Project) -> None:
    """Tasks, jobs, webhooks and their deliveries go along; of the tasks nothing is told."""
    change = call.change()
    change.deleted("project", row)
    for job in sorted(call.state.jobs.values(), key=lambda job: -job.id):
        if job.task.project is row:
            change.deleted("job", job)
    for task in call.state.tasks_of(row):
        drop_task(call.state, task)
    for webhook in [item for item in call.state.webhooks.values() if item.project is row]:
        del call.state.webhooks[webhook.id]
    del call.state.projects[row.id]
