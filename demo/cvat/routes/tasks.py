"""`/api/tasks`."""

from __future__ import annotations

from starlette.responses import Response

from demo.cvat import auth, clock, lists
from demo.cvat.errors import bad_request, forbidden, required, server_error
from demo.cvat.http import Call, Routes, located, reply
from demo.cvat.labels import add_labels
from demo.cvat.state import State
from demo.cvat.tables import Job, Json, Task, User

DELETE_WAIT_S = 60.0
LENGTHS = {"name": 256, "subset": 64}
CHANGEABLE = {
    "name",
    "assignee_id",
    "owner_id",
    "bug_tracker",
    "subset",
    "labels",
    "project_id",
    "source_storage",
    "target_storage",
}
TERMS: lists.Terms[Task] = {
    "id": lambda row: row.id,
    "name": lambda row: row.name,
    "project_id": lambda row: row.project.id if row.project else None,
    "project_name": lambda row: row.project.name if row.project else None,
    "owner": lambda row: row.owner.username,
    "assignee": lambda row: row.assignee.username if row.assignee else None,
    "status": lambda row: row.status,
    "mode": lambda row: row.mode,
    "dimension": lambda row: row.dimension,
    "subset": lambda row: row.subset,
    "tracker_link": lambda row: row.bug_tracker,
    "created_date": lambda row: row.created,
    "updated_date": lambda row: row.updated,
}
SIMPLE: lists.Terms[Task] = {
    name: value for name, value in TERMS.items() if name not in ("id", "created_date", "updated_date")
}


def register(routes: Routes) -> None:
    routes.add("GET", "/tasks")(listed)
    routes.add("POST", "/tasks")(create)
    routes.add("GET", "/tasks/{id}")(read)
    routes.add("PATCH", "/tasks/{id}")(update)
    routes.add("DELETE", "/tasks/{id}")(delete)
    routes.add("GET", "/tasks/{id}/status")(status)


def task_of(call: Call) -> Task:
    """The task of the path, if the caller may see it."""
    row = call.state.task(call.id)
    auth.check(call.user, row)
    return row


def listed(call: Call) -> Response:
    with call.state.lock:
        rows = [row for row in call.state.tasks.values() if auth.may(call.user, row) and auth.in_scope(call, row)]
        return reply(lists.page(call, lists.select(rows, call.query, SIMPLE, TERMS), call.view.task))


def create(call: Call) -> Response:
    fields = call.fields()
    if "name" not in fields:
        raise required("name")
    _check_texts(fields)
    if fields.get("project_id") is None and not fields.get("labels"):
        raise bad_request(["Label set or project_id must be present"])
    if fields.get("project_id") is not None and fields.get("labels"):
        raise bad_request(["Project must have only one of Label set or project_id"])
    with call.state.lock:
        project = None
        if fields.get("project_id") is not None:
            project = call.state.projects.get(fields["project_id"])
            if project is None:
                raise bad_request(["Project matching query does not exist."])
            auth.check(call.user, project)
            if project.organization is not call.organization:
                raise bad_request(["The task and its project should be in the same organization."])
        row = Task(
            call.state.next_id("task"),
            fields["name"],
            call.user,
            clock.now(),
            clock.now(),
            project,
            call.organization,
            _assignee(call.state, fields),
            bug_tracker=fields.get("bug_tracker", ""),
            subset=fields.get("subset", ""),
            overlap=fields.get("overlap"),
            segment_size=fields.get("segment_size", 0),
            consensus_replicas=fields.get("consensus_replicas", 0),
            labels=add_labels(call.state, fields.get("labels", [])),
        )
        if row.assignee:
            row.assignee_updated = clock.now()
        call.state.tasks[row.id] = row
        change = call.change()
        change.created("task", row)
        change.touch(project)
        return located(call.view.task(row))


def _check_texts(fields: Json) -> None:
    if "name" in fields and not fields["name"]:
        raise bad_request({"name": ["This field may not be blank."]})
    for name, length in LENGTHS.items():
        if len(fields.get(name, "")) > length:
            raise bad_request({name: [f"Ensure this field has no more than {length} characters."]})


def _assignee(state: State, fields: Json) -> User | None:
    number = fields.get("assignee_id")
    if number is None:
        return None
    if number not in state.users:
        raise bad_request({"assignee_id": [f'Invalid pk "{number}" - object does not exist.']})
    return state.users[number]


def read(call: Call) -> Response:
    with call.state.lock:
        return reply(call.view.task(task_of(call)))


def update(call: Call) -> Response:
    fields = call.fields()
    with call.state.lock:
        row = task_of(call)
        if not set(fields) <= CHANGEABLE:
            raise forbidden("Attempted to update an unknown field")
        _check_texts(fields)
        change = call.change()
        with change.task(row, summary=True):
            row.name = fields.get("name", row.name)
            row.bug_tracker = fields.get("bug_tracker", row.bug_tracker)
            row.subset = fields.get("subset", row.subset)
            if "assignee_id" in fields:
                row.assignee = _assignee(call.state, fields)
                row.assignee_updated = clock.now()
        change.touch(row.project)
        return reply(call.view.task(row))


def delete(call: Call) -> Response:
    """While the task's data is processed a deletion waits for the end of that, and then fails."""
    with call.state.lock:
        row = task_of(call)
        busy = row.id in call.state.imports and call.state.imports[row.id].running
    if busy:
        call.server.importer.wait(row, DELETE_WAIT_S)
        raise server_error()
    with call.state.lock:
        row = task_of(call)
        change = call.change()
        for job in reversed(call.state.jobs_of(row)):
            change.deleted("job", job)
        view = call.view.task(row)
        drop_task(call.state, row)
        change.touch(row.project)
        change.gone("task", view, row)
    return reply(status=204)


def drop_task(state: State, row: Task) -> None:
    """Take the task, its jobs and their annotations out, without a word."""
    for job in state.jobs_of(row):
        drop_job(state, job)
    del state.tasks[row.id]


def drop_job(state: State, row: Job) -> None:
    for number in row.shapes:
        state.shape_jobs.pop(number, None)
    del state.jobs[row.id]


def status(call: Call) -> Response:
    """The older way to follow an import; it says Finished for what it does not know."""
    with call.state.lock:
        row = call.state.imports.get(task_of(call).id)
        known = row.status if row else "finished"
        state = {"queued": "Queued", "started": "Started", "finished": "Finished", "failed": "Failed"}[known]
        body = {"state": state, "message": row.message if row else "", "progress": 0.0}
        return reply(body, headers={"Deprecation": "true"})
