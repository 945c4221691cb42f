"""Taking away what a pipeline made: its webhooks, wherever they are, and the projects that it made."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kelp.pipeline.cvat import Cvat
from kelp.pipeline.errors import CvatGone
from kelp.pipeline.labels import counted
from kelp.pipeline.marks import mark_of_project, mark_of_webhook
from kelp.pipeline.present import Scope, tasks_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """What carries the pipeline's mark. kept: projects that stay because they hold tasks."""

    webhooks: tuple[Json, ...]
    projects: tuple[Json, ...]
    kept: tuple[Json, ...]

    def lines(self) -> list[str]:
        told = [f"- webhook {hook['id']}: {hook['target_url']}" for hook in self.webhooks]
        for project in self.projects:
            tasks = tasks_of(project)
            told.append(
                f"- project {project['id']} '{project['name']}'"
                + (f" with its {counted(tasks, 'task')}" if tasks else "")
            )
        return told

    def notes(self) -> list[str]:
        return [
            f"project {row['id']} '{row['name']}' stays: it holds {counted(tasks_of(row), 'task')}; --with-tasks "
            "deletes it with them"
            for row in self.kept
        ]


def made_by(pipeline: str, cvat: Cvat, *, with_tasks: bool, stay: Collection[int] = ()) -> Made:
    """What the pipeline of that name made, whatever its file says now. stay: ids of projects that it names by id."""
    scope = Scope(cvat, str(cvat.myself().get("username") or ""))
    projects: list[Json] = []
    kept: list[Json] = []
    for row in cvat.projects():
        mark = mark_of_project(row.get("bug_tracker") or "")
        if mark is not None and mark.pipeline == pipeline and scope.holds(row) and row["id"] not in stay:
            (projects if with_tasks or not tasks_of(row) else kept).append(row)
    mine = {int(row["id"]) for row in (*projects, *kept)} | set(stay)
    hooks = []
    for hook in cvat.webhooks():
        mark = mark_of_webhook(hook.get("description") or "")
        if mark is not None and mark.pipeline == pipeline and (scope.holds(hook) or hook.get("project_id") in mine):
            hooks.append(hook)
    return Made(tuple(hooks), tuple(projects), tuple(kept))


def delete(made: Made, cvat: Cvat, *, with_tasks: bool, done: Callable[[str], None]) -> list[str]:
    """Delete it; why something stays after all. What is gone already does not matter."""
    stays = []
    for hook in made.webhooks:
        with suppress(CvatGone):
            cvat.delete_webhook(hook["id"])
        done(f"webhook {hook['id']}: deleted")
    for project in made.projects:
        number, name = int(project["id"]), project["name"]
        with suppress(CvatGone):
            # Somebody may have put a task there meanwhile.
            if not with_tasks and (tasks := tasks_of(cvat.project(number))):
                stays.append(f"project {number} '{name}' stays: it holds {counted(tasks, 'task')} by now")
                continue
            cvat.delete_project(number)
        done(f"project {number} '{name}': deleted")
    return stays
