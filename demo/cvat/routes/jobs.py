"""`/api/jobs`: lists, states and stages."""

from __future__ import annotations

from starlette.responses import Response

from demo.cvat import auth, clock, lists
from demo.cvat.errors import bad_request, forbidden, no_choice
from demo.cvat.events import Change
from demo.cvat.http import Call, Routes, located, reply
from demo.cvat.routes.tasks import drop_job
from demo.cvat.tables import Job, Json, Task
from demo.cvat.views import GROUND_TRUTH

STAGES = ("annotation", "validation", "acceptance")
STATES = ("new", "in progress", "completed", "rejected")
TYPES = ("annotation", "ground_truth", "consensus_replica")
TERMS: lists.Terms[Job] = {
    "id": lambda row: row.id,
    "task_id": lambda row: row.task.id,
    "task_name": lambda row: row.task.name,
    "project_id": lambda row: row.task.project.id if row.task.project else None,
    "project_name": lambda row: row.task.project.name if row.task.project else None,
    "state": lambda row: row.state,
    "stage": lambda row: row.stage,
    "assignee": lambda row: row.assignee.username if row.assignee else None,
    "type": lambda row: row.type,
    "dimension": lambda row: row.task.dimension,
    "updated_date": lambda row: row.updated,
}
SIMPLE: lists.Terms[Job] = {name: value for name, value in TERMS.items() if name not in ("id", "updated_date")}
CHOICES = {"state": STATES, "stage": STAGES, "type": TYPES}


def register(routes: Routes) -> None:
    routes.add("GET", "/jobs")(listed)
    routes.add("GET", "/jobs/{id}")(read)
    routes.add("PATCH", "/jobs/{id}")(update)
    routes.add("POST", "/jobs")(create)
    routes.add("DELETE", "/jobs/{id}")(delete)


def job_of(call: Call) -> Job:
    """The job of the path, if the caller may see it."""
    row = call.state.job(call.id)
    auth.check(call.user, row)
    return row


def listed(call: Call) -> Response:
    for name, choices in CHOICES.items():
        value = call.query.get(name)
        if value is not None and value not in choices:
            raise bad_request({name: [f"Select a valid choice. {value} is not one of the available choices."]})
    with call.state.lock:
        rows = [row for row in call.state.jobs.values() if auth.may(call.user, row) and auth.in_scope(call, row)]
        return reply(lists.page(call, lists.select(rows, call.query, SIMPLE, TERMS), call.view.job))


def read(call: Call) -> Response:
    with call.state.lock:
        return reply(call.view.job(job_of(call)))


def update(call: Call) -> Response:
    fields = call.fields()
    with call.state.lock:
        row = job_of(call)
        if not set(fields) <= {"assignee", "stage", "state"}:
            raise forbidden("Attempted to update an unknown field")
        for name in ("stage", "state"):
            if name in fields and fields[name] not in CHOICES[name]:
                raise no_choice(name, fields[name])
        if fields.get("assignee") is not None and fields["assignee"] not in call.state.users:
            raise bad_request({"assignee": [f'Invalid pk "{fields["assignee"]}" - object does not exist.']})
        change = call.change()
        with change.job(row):
            _apply(call, row, fields)
            _settle_task(change, row.task)
        return reply(call.view.job(row))


def create(call: Call) -> Response:
    """Only a ground truth job can be made by itself, and one of them a task."""
    fields = call.fields()
    if fields.get("type") != GROUND_TRUTH:
        raise bad_request([f"Unexpected job type '{fields.get('type')}'"])
    with call.state.lock:
        task = call.state.task(fields["task_id"])
        auth.check(call.user, task)
        if any(job.type == GROUND_TRUTH for job in call.state.jobs_of(task)):
            raise bad_request(['Task with validation mode "gt" cannot have more than 1 GT job'])
        last = len(task.data.frames) - 1 if task.data else 0
        row = Job(call.state.next_id("job"), task, 0, last, clock.now(), clock.now(), clock.now(), GROUND_TRUTH)
        row.included = sorted(fields.get("frames", []))
        call.state.jobs[row.id] = row
        call.change().created("job", row)
        return located(call.view.job(row))


def delete(call: Call) -> Response:
    with call.state.lock:
        row = job_of(call)
        if row.type != GROUND_TRUTH:
            raise bad_request(["Only ground truth jobs can be removed"])
        call.change().deleted("job", row)
        drop_job(call.state, row)
    return reply(status=204)


def _apply(call: Call, row: Job, fields: Json) -> None:
    stage = fields.get("stage", row.stage)
    steps = STAGES.index(stage) - STAGES.index(row.stage)
    # A stage sent alone starts over.
    row.state = fields.get("state", "new" if steps else row.state)
    row.stage = stage
    row.status = "annotation" if stage == "annotation" else "validation"
    if stage == "acceptance" and row.state == "completed":
        row.status = "completed"
    assignee = row.assignee
    if "assignee" in fields:
        assignee = call.state.users[fields["assignee"]] if fields["assignee"] is not None else None
    if steps == 1:
        # The next stage is somebody else's: the job is free again, whoever was named.
        assignee = None
    if assignee is not row.assignee or steps == 1:
        row.assignee, row.assignee_updated = assignee, clock.now()


def _settle_task(change: Change, task: Task) -> None:
    """A task has the status of its jobs, of whatever type: annotation while one is, completed when all are."""
    statuses = {job.status for job in change.state.jobs_of(task)}
    status = next(name for name in ("annotation", "validation", "completed") if name in statuses)
    if status != task.status:
        with change.task(task):
            task.status = status
