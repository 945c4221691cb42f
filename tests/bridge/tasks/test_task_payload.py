"""Which of the recorded deliveries say that a task is done."""

from __future__ import annotations

import pytest

from bridge.events.payload import Event, Ignored, Ping
from bridge.events.task_payload import read_task_payload
from kelp.errors import InvalidRequest
from tests.bridge.recorded import by_place, conversations, others


def test_a_task_is_done_by_its_status_or_by_a_jobs_state() -> None:
    task, job = read_task_payload(by_place("05:79").payload), read_task_payload(by_place("05:81").payload)
    assert isinstance(task, Event)
    assert (task.name, task.object_id, task.task_id, task.triggers) == ("update:task", 68, 68, {"task_completed"})
    assert isinstance(job, Event)
    assert (job.name, job.object_id, job.task_id, job.triggers) == ("update:job", 56, 68, {"jobs_completed"})
    assert task.project_id == job.project_id == 14


def test_no_recorded_delivery_is_misunderstood() -> None:
    """A status or a state has become completed in it, or it means nothing here."""
    found = {"task_completed": 0, "jobs_completed": 0}
    for recorded in (*conversations(), *others()):
        payload = recorded.payload
        meaning = read_task_payload(payload)
        before = payload.get("before_update") or {}
        wanted = None
        if payload["event"] == "update:task" and "status" in before and payload["task"]["status"] == "completed":
            wanted = "task_completed"
        if payload["event"] == "update:job" and "state" in before and payload["job"]["state"] == "completed":
            wanted = "jobs_completed"
        assert (next(iter(meaning.triggers)) if isinstance(meaning, Event) else None) == wanted, recorded.place
        if wanted:
            found[wanted] += 1
    assert min(found.values()) >= 3


def test_accepting_a_job_that_was_completed_is_told_by_the_task_alone() -> None:
    payload = {"event": "update:job", "job": {"id": 5, "task_id": 6, "state": "completed", "stage": "acceptance"}}
    assert isinstance(read_task_payload({**payload, "before_update": {"stage": "annotation"}}), Ignored)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {"event": 5},
        {"event": "update:task"},
        {"event": "update:task", "task": {"id": "7"}},
        {"event": "update:job", "job": {"id": 7}},
        {"event": "update:job", "job": {"id": 7, "task_id": 0}},
        {"event": "update:job", "job": {"id": 2**63, "task_id": 1}},
    ],
)
def test_what_is_no_delivery_is_refused(payload: object) -> None:
    with pytest.raises(InvalidRequest):
        read_task_payload(payload)


def test_a_ping_is_a_ping() -> None:
    assert read_task_payload({"event": "ping"}) == Ping()
