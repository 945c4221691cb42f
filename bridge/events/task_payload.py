"""The meaning of a payload for the webhooks that make a task from a task: is the work on this one done?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.events.payload import MOST_ID, Event, Ignored, Ping, id_in, sender_in, text_in
from kelp.errors import InvalidRequest

_OBJECTS = {"update:task": ("task", "status", "task_completed"), "update:job": ("job", "state", "jobs_completed")}


def read_task_payload(payload: Any) -> Event | Ping | Ignored:
    """What `payload`, the decoded body of a delivery, means. InvalidRequest where it is no delivery of CVAT's.

    CVAT's own status of a task is completed once every job is accepted; that of a job says that an annotator is done.
    """
    if not isinstance(payload, Mapping) or not isinstance(payload.get("event"), str):
        raise InvalidRequest("body: expected an object with 'event', as CVAT sends it")
    name = payload["event"]
    if name == "ping":
        return Ping()
    if name not in _OBJECTS:
        return Ignored(f"{name} starts nothing here")
    kind, field, trigger = _OBJECTS[name]
    found = payload.get(kind)
    task_id = id_in(found.get("id" if kind == "task" else "task_id")) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or id_in(found.get("id")) is None or task_id is None:
        raise InvalidRequest(f"body: {name} without the ids of {kind} and task, whole numbers from 1 to {MOST_ID}")
    before = payload.get("before_update")
    old = text_in(before.get(field)) if isinstance(before, Mapping) else ""
    new = text_in(found.get(field))
    if not old:
        return Ignored(f"{name} without a change of {field}")
    if new != "completed" or old == new:
        return Ignored(f"{name} from {old} to {new}")
    return Event(
        name=name,
        object_id=found["id"],
        organization=id_in(found.get("organization")),
        old=old,
        new=new,
        updated_date=text_in(found.get("updated_date")),
        triggers=frozenset({trigger}),
        task_id=task_id,
        project_id=id_in(found.get("project_id")),
        sender=sender_in(payload.get("sender")),
    )
