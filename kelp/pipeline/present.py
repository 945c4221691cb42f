"""What CVAT holds now of what a pipeline wants: by mark, else by id or name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kelp.pipeline.cvat import Cvat
from kelp.pipeline.errors import CvatForbidden, CvatGone, PipelineError
from kelp.pipeline.marks import Mark, mark_of_project, mark_of_webhook
from kelp.pipeline.wanted import Wanted, WantedProject

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PresentProject:
    """mark: the pipeline's own, if it carries one. webhooks: by their key, those that carry it; dropped: those with a
    mark of the pipeline that the file does not have (any more); others: everybody else's."""

    id: int
    name: str
    mark: Mark | None
    tasks: int
    labels: tuple[Json, ...]
    webhooks: Mapping[str, Json]
    dropped: tuple[Json, ...]
    others: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """projects: by key, those that are there. notes: what somebody should know."""

    projects: Mapping[str, PresentProject]
    notes: tuple[str, ...] = ()

    @property
    def ids(self) -> dict[str, int]:
        return {key: project.id for key, project in self.projects.items()}


class Scope:
    """Whose things count. In an organization: its own, whoever made them. Else: the account's personal ones; an
    administrator sees those of everybody."""

    def __init__(self, cvat: Cvat, user: str) -> None:
        self._organized = bool(cvat.organization)
        self._user = user

    def holds(self, row: Json) -> bool:
        """Whether a project or a webhook counts."""
        if self._organized:
            return row.get("organization") is not None  # the list is limited to it already
        return row.get("organization") is None and owner_of(row) == self._user


def owner_of(row: Json) -> str:
    return str((row.get("owner") or {}).get("username") or "")


def tasks_of(row: Json) -> int:
    """How many tasks a project holds."""
    return int((row.get("tasks") or {}).get("count") or 0)


def present_of(wanted: Wanted, cvat: Cvat, *, source: str) -> Present:
    """What is there. PipelineError where nobody can tell which of several projects is meant."""
    scope = Scope(cvat, str(cvat.myself().get("username") or ""))
    notes: list[str] = []
    rows = _projects(wanted, cvat, scope, source, notes)
    keys: dict[int, str] = {}
    for key, (row, _) in rows.items():
        if (other := keys.setdefault(int(row["id"]), key)) != key:
            raise PipelineError(f"{source}: projects.{key}: is project {row['id']} of CVAT, and so is projects.{other}")
    found = {key: _project(wanted.projects[key], row, mark, cvat) for key, (row, mark) in rows.items()}
    return Present(found, tuple(notes))


def _project(wanted: WantedProject, row: Json, mark: Mark | None, cvat: Cvat) -> PresentProject:
    number = int(row["id"])
    keys = {webhook.mark.webhook for webhook in wanted.webhooks}
    hooks: dict[str, Json] = {}
    dropped, others = [], []
    for hook in cvat.webhooks(number):
        its = mark_of_webhook(hook.get("description") or "")
        if its is None or its.pipeline != wanted.mark.pipeline:
            others.append(hook)
        elif its.project == wanted.mark.project and its.webhook in keys and its.webhook not in hooks:
            hooks[its.webhook] = hook
        else:
            dropped.append(hook)
    labels = tuple(cvat.labels(number))
    return PresentProject(number, row["name"], mark, tasks_of(row), labels, hooks, tuple(dropped), tuple(others))


def _projects(
    wanted: Wanted, cvat: Cvat, scope: Scope, source: str, notes: list[str]
) -> dict[str, tuple[Json, Mark | None]]:
    """By key: the project, and the mark of this pipeline that it carries, if any."""
    found: dict[str, tuple[Json, Mark | None]] = {}
    for key, project in wanted.projects.items():
        if project.id is not None:
            found[key] = _named_by_id(project, cvat, f"{source}: projects.{key}.id"), None
            continue
        by_name = [row for row in cvat.projects(project.name) if scope.holds(row)]
        if row := _one_with_mark(project, by_name, f"{source}: projects.{key}"):
            found[key] = row, project.mark
    missing = {key: p for key, p in wanted.projects.items() if key not in found}
    if not missing:
        return found
    # Somebody may have given it another name.
    everything = list(cvat.projects())
    taken = {row["id"] for row, _ in found.values()}
    for key, project in missing.items():
        place = f"{source}: projects.{key}"
        near = [row for row in everything if scope.holds(row) and row["id"] not in taken]
        if row := _one_with_mark(project, near, place):
            found[key] = row, project.mark
            continue
        same = [row for row in near if row["name"] == project.name and _may_be(_mark(row), wanted)]
        if len(same) > 1:
            numbers = " and ".join(str(row["id"]) for row in same)
            raise PipelineError(f"{place}: CVAT has several projects '{project.name}': {numbers}; say which by id")
        if same:
            found[key] = same[0], _mark(same[0])
        elif foreign := [row for row in everything if row["name"] == project.name and not scope.holds(row)]:
            owner = owner_of(foreign[0]) or "nobody"
            notes.append(
                f"project {foreign[0]['id']} of {owner} has the name '{project.name}' too, and is left alone; "
                f"projects.{key}.id would use it"
            )
    return found


def _mark(row: Json) -> Mark | None:
    return mark_of_project(row.get("bug_tracker") or "")


def _may_be(mark: Mark | None, wanted: Wanted) -> bool:
    """Whether a project of the right name may be taken: nobody's, or one whose key in the file has changed."""
    return mark is None or (mark.pipeline == wanted.pipeline and mark.project not in wanted.projects)


def _named_by_id(project: WantedProject, cvat: Cvat, place: str) -> Json:
    number = int(project.id or 0)
    try:
        return cvat.project(number)
    except CvatGone:
        raise PipelineError(f"{place}: CVAT has no project {number}") from None
    except CvatForbidden:
        raise CvatForbidden(f"{place}: CVAT does not show project {number} to this account") from None


def _one_with_mark(project: WantedProject, rows: Iterable[Json], place: str) -> Json | None:
    marked = [row for row in rows if _mark(row) == project.mark]
    if len(marked) > 1:
        numbers = " and ".join(str(row["id"]) for row in marked)
        raise PipelineError(
            f"{place}: the projects {numbers} carry this pipeline's mark: empty the bug tracker of those not meant"
        )
    return marked[0] if marked else None
