"""Everything the server holds, in memory, behind one lock."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterator

from demo.cvat import clock
from demo.cvat.errors import absent
from demo.cvat.settings import Settings
from demo.cvat.tables import Import, Job, Label, Organization, Project, Task, User, Webhook


class State:
    """Rows by id. Ids of one kind are consecutive and are never used twice."""

    def __init__(self, settings: Settings) -> None:
        self.lock = threading.RLock()
        self.users: dict[int, User] = {}
        self.organizations: dict[int, Organization] = {}
        self.projects: dict[int, Project] = {}
        self.tasks: dict[int, Task] = {}
        self.jobs: dict[int, Job] = {}
        self.webhooks: dict[int, Webhook] = {}
        self.imports: dict[int, Import] = {}
        """By the task's id."""
        self.tokens: dict[str, User] = {}
        self.sessions: dict[str, User] = {}
        self.shape_jobs: dict[int, Job] = {}
        """Which job holds a shape: their ids are one sequence over all jobs."""
        self._counters: dict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))
        for account in settings.accounts:
            user = User(
                self.next_id("user"),
                account.name,
                account.password,
                account.superuser,
                clock.now(),
                account.access_token,
            )
            self.users[user.id] = user

    def next_id(self, kind: str) -> int:
        return next(self._counters[kind])

    def user_named(self, name: str) -> User | None:
        return next((user for user in self.users.values() if name in (user.username, user.email)), None)

    def project(self, number: int) -> Project:
        if number not in self.projects:
            raise absent("Project")
        return self.projects[number]

    def task(self, number: int) -> Task:
        if number not in self.tasks:
            raise absent("Task")
        return self.tasks[number]

    def job(self, number: int) -> Job:
        if number not in self.jobs:
            raise absent("Job")
        return self.jobs[number]

    def webhook(self, number: int) -> Webhook:
        if number not in self.webhooks:
            raise absent("Webhook")
        return self.webhooks[number]

    def tasks_of(self, project: Project) -> list[Task]:
        return [task for task in self.tasks.values() if task.project is project]

    def jobs_of(self, task: Task) -> list[Job]:
        """In order of their ids."""
        return [job for job in self.jobs.values() if job.task is task]

    def label(self, number: int) -> tuple[Label, Project | None]:
        """A top-level label and its project (None for a task's own)."""
        for project in self.projects.values():
            for label in project.labels:
                if label.id == number:
                    return label, project
        for task in self.tasks.values():
            for label in task.labels:
                if label.id == number:
                    return label, None
        raise absent("Label")
