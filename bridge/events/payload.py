"""The meaning of a payload: which event, of which object, and what makes it start a run.

Of the object only ids and the changed values are taken: bodies made by CVAT's workers lack fields and carry wrong
counts, so everything else is read back from CVAT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kelp.errors import InvalidRequest

MOST_ID = 2**63 - 1
"""The largest id that the tables hold."""
Trigger = Literal["started", "created", "completed"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a job, or to a task.

    name: CVAT's, as `update:job`; old, new: the state before and after (empty for `create:job`);
    updated_date: the object's, as CVAT wrote it; triggers: what of a webhook's `on` it stands for (perhaps nothing).
    """

    name: str
    object_id: int
    organization: int | None
    old: str
    new: str
    updated_date: str
    triggers: frozenset[str]
    task_id: int | None = None
    project_id: int | None = None
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """CVAT asks whether anybody is there."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A delivery that starts nothing, whatever the webhook asks for."""

    reason: str


def read_payload(payload: Any) -> Event | Ping | Ignored:
    """What `payload`, the decoded body of a delivery, means. InvalidRequest where it is no delivery of CVAT's."""
    if not isinstance(payload, Mapping) or not isinstance(payload.get("event"), str):
        raise InvalidRequest("body: expected an object with 'event', as CVAT sends it")
    name = payload["event"]
    if name == "ping":
        return Ping()
    if name not in {"update:job", "create:job"}:
        return Ignored(f"{name} starts nothing here")
    job = payload.get("job")
    if not isinstance(job, Mapping) or not is_id(job.get("id")):
        raise InvalidRequest(f"body: {name} without the job's id, a whole number from 1 to {MOST_ID}")
    new = text_in(job.get("state"))
    before = payload.get("before_update")
    old = text_in(before.get("state")) if isinstance(before, Mapping) else ""
    event = Event(
        name=name,
        object_id=job["id"],
        organization=id_in(job.get("organization")),
        old=old,
        new=new if old else "",
        updated_date=text_in(job.get("updated_date")),
        triggers=_triggers(name, old, new),
        task_id=id_in(job.get("task_id")),
        project_id=id_in(job.get("project_id")),
        sender=sender_in(payload.get("sender")),
    )
    return event if event.triggers else Ignored(_why_not(name, old, new))


def _triggers(name: str, old: str, new: str) -> frozenset[Trigger]:
    if name == "create:job":
        return frozenset({"created"})
    if old == "new" and new == "in progress":
        return frozenset({"started"})
    if old and new == "completed" and old != new:
        return frozenset({"completed"})
    return frozenset()


def _why_not(name: str, old: str, new: str) -> str:
    if not old:
        return f"{name} without a change of state"
    return f"{name} from {old} to {new}"


def is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_ID


def id_in(value: Any) -> int | None:
    return value if is_id(value) else None


def text_in(value: Any) -> str:
    return value if isinstance(value, str) else ""


def sender_in(value: Any) -> str:
    """For people only; a NUL, which PostgreSQL does not store, is no part of anybody's name."""
    return text_in(value.get("username")).replace("\0", "")[:150] if isinstance(value, Mapping) else ""
