"""What a change tells the webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from demo.cvat import clock
from demo.cvat.deliveries import Parcel, Sender
from demo.cvat.state import State
from demo.cvat.tables import Job, Json, Organization, Project, Task, User
from demo.cvat.views import View

PROJECT_EVENTS = [
    f"{action}:{kind}"
    for action in ("create", "delete", "update")
    for kind in ("comment", "issue", "job", "project", "task")
    if (action, kind) != ("create", "project")
]
ORGANIZATION_EVENTS = [
    f"{action}:{kind}"
    for action in ("create", "delete", "update")
    for kind in ("comment", "invitation", "issue", "job", "membership", "organization", "project", "task")
    if (action, kind) not in {("create", "organization"), ("update", "invitation")}
]


class Change:
    """One request's changes: who makes them, and as seen from where (`View.base`)."""

    def __init__(self, state: State, sender: Sender, user: User, base: str | None) -> None:
        self.state = state
        self.user = user
        self.view = View(state, base)
        self._sender = sender

    @contextmanager
    def project(self, row: Project) -> Iterator[None]:
        """Save `row` with what the block changes in it, and send `update:project`."""
        before = self.view.project(row)
        yield
        row.updated = clock.now()
        self._updated("project", row.organization, row, before, self.view.project(row))

    @contextmanager
    def task(self, row: Task, *, summary: bool = False) -> Iterator[None]:
        before = self.view.task(row, summary=False)
        yield
        row.updated = clock.now()
        self._updated("task", row.organization, row.project, before, self.view.task(row, summary=summary))

    @contextmanager
    def job(self, row: Job) -> Iterator[None]:
        before = self.view.job(row)
        yield
        row.updated = clock.now()
        self._updated("job", row.task.organization, row.task.project, before, self.view.job(row))

    def touch(self, row: Project | None) -> None:
        if row is not None:
            with self.project(row):
                pass

    def created(self, kind: str, row: Project | Task | Job) -> None:
        self._plain("create", kind, row)

    def deleted(self, kind: str, row: Project | Task | Job) -> None:
        self._plain("delete", kind, row)

    def gone(self, kind: str, view: Json, row: Task) -> None:
        """`delete:…` of a row that has been taken out, with `view` as it was."""
        self._emit(f"delete:{kind}", row.organization, row.project, {kind: view})

    def _plain(self, action: str, kind: str, row: Project | Task | Job) -> None:
        if isinstance(row, Project):
            self._emit(f"{action}:{kind}", row.organization, row, {kind: self.view.project(row)})
        elif isinstance(row, Task):
            view = self.view.task(row, summary=False)
            self._emit(f"{action}:{kind}", row.organization, row.project, {kind: view})
        else:
            self._emit(f"{action}:{kind}", row.task.organization, row.task.project, {kind: self.view.job(row)})

    def _updated(
        self, kind: str, organization: Organization | None, project: Project | None, before: Json, after: Json
    ) -> None:
        old = {key: before.get(key) for key in after if before.get(key) != after[key]}
        self._emit(f"update:{kind}", organization, project, {kind: after}, {"before_update": old})

    def _emit(
        self,
        event: str,
        organization: Organization | None,
        project: Project | None,
        row: Json,
        more: Json | None = None,
    ) -> None:
        for webhook in sorted(self.state.webhooks.values(), key=lambda webhook: webhook.id):
            if webhook.type == "organization":
                concerned = organization is not None and webhook.organization is organization
            else:
                concerned = project is not None and webhook.project is project
            if not (concerned and webhook.is_active and event in webhook.events):
                continue
            payload = {
                "event": event,
                **row,
                "sender": self.view.sender(self.user),
                **(more or {}),
                "webhook_id": webhook.id,
            }
            self._sender.put(Parcel(webhook, webhook.target_url, webhook.secret, event, payload))
