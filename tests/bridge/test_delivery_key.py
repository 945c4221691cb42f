"""Which deliveries are one happening: a redelivery is, a second start of the same job is not."""

import json

import pytest

from bridge.events.key import delivery_key, manual_key
from bridge.events.parameters import DetectParameters, parse_query
from bridge.events.payload import Event, read_payload
from tests.bridge.recorded import Recorded, by_place, conversations, others

CVAT = "http://cvat.example:8080"
PATH = "/detect-model-webhook"
PARAMETERS = DetectParameters("m", on=frozenset({"started", "created", "completed"}))


def key(recorded: Recorded, instance: str = CVAT, path: str = PATH, parameters: DetectParameters = PARAMETERS) -> str:
    event = read_payload(recorded.payload)
    assert isinstance(event, Event)
    return delivery_key(instance, path, event, parameters)


def shuffled(recorded: Recorded, **changed: object) -> Recorded:
    """As a redelivery comes: the same content, another order of keys, other bytes."""
    payload = dict(reversed([(k, v) for k, v in recorded.payload.items()]))
    job = {**dict(sorted(payload["job"].items())), **changed.pop("job", {})}  # type: ignore[dict-item]
    return Recorded("", json.dumps({**payload, "job": job, **changed}).encode(), None)


@pytest.mark.parametrize("place", ["05:34", "05:49", "05:18", "05:96"])
def test_a_redelivery_has_the_same_key(place: str) -> None:
    recorded = by_place(place)
    assert shuffled(recorded).raw != recorded.raw
    assert key(shuffled(recorded)) == key(recorded)


def test_two_equal_webhooks_make_one_run() -> None:
    # A and B got the same event, 05:34 and 05:35, with other webhook ids.
    assert by_place("05:34").payload["webhook_id"] != by_place("05:35").payload["webhook_id"]
    assert key(by_place("05:34")) == key(by_place("05:35"))


def test_a_job_started_again_is_another_happening() -> None:
    started = [
        r for r in conversations() if isinstance(e := read_payload(r.payload), Event) and "started" in e.triggers
    ]
    moments = {(r.payload["job"]["id"], r.payload["job"]["updated_date"]) for r in started}
    assert len({key(r) for r in started}) == len(moments) >= 2


def test_no_two_recorded_happenings_share_a_key() -> None:
    seen: dict[str, object] = {}
    for recorded in (*conversations(), *others()):
        event = read_payload(recorded.payload)
        if isinstance(event, Event):
            what = (event.name, event.object_id, event.old, event.new, event.updated_date, event.organization)
            assert seen.setdefault(key(recorded), what) == what


def test_everything_that_makes_a_difference_is_in_the_key() -> None:
    recorded = by_place("05:34")
    keys = {
        key(recorded),
        key(recorded, instance="http://other.example"),
        key(recorded, path="/another-webhook"),
        key(recorded, parameters=DetectParameters("n")),
        key(recorded, parameters=parse_query("model_name=m&conf_threshold=0.5")),
        key(shuffled(recorded, job={"organization": 3})),
        key(shuffled(recorded, job={"id": 56})),
        key(shuffled(recorded, job={"updated_date": "2026-11-21T09:17:50.385369Z"})),
        key(by_place("05:49")),
        manual_key(CVAT, 55, "2026-11-21T09:17:50.385368Z", PARAMETERS),
        manual_key(CVAT, 55, "2026-11-21T09:17:50.385368Z", PARAMETERS, again="x"),
    }
    assert len(keys) == 11


def test_the_senders_name_makes_none() -> None:
    recorded = by_place("05:34")
    assert key(shuffled(recorded, sender={"username": "somebody"}, webhook_id=99)) == key(recorded)
