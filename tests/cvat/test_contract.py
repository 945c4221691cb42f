"""The stand-in against every recorded conversation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.cvat import Account, Running, Settings
from tests.cvat.conversations import CONVERSATIONS
from tests.cvat.ids import Ids, Mismatch, match
from tests.cvat.left_out import FILES, PARTS
from tests.cvat.replay import PASSWORDS, Replay, answer_like_recorded
from tests.support.receiver import Receiver

RECORDINGS = Path(__file__).parents[1] / "recordings"
EVIDENCE = Path(__file__).parents[3] / "shared/evidence/cvat"
DELIVERY_TIMEOUT_S = 1.5
ACCOUNTS = tuple(Account(name, password, name == "admin") for name, password in PASSWORDS.items())


@pytest.mark.parametrize("name", [path.stem for path in sorted((RECORDINGS / "http").glob("*.json"))])
def test_a_recorded_conversation_goes_the_same_way(name: str) -> None:
    recording = json.loads((RECORDINGS / "http" / f"{name}.json").read_text())
    conversation = CONVERSATIONS[name]
    settings = Settings(ACCOUNTS, delivery_timeout_s=DELIVERY_TIMEOUT_S, import_s=conversation.import_s)
    with Receiver(answer_like_recorded(hang=2 * DELIVERY_TIMEOUT_S)) as receiver, Running(settings) as running:
        replay = Replay(recording, conversation, running.url, receiver, lambda: running.server.sender.wait_idle(20))
        try:
            replay.run()
        finally:
            replay.close()
    every = {exchange["n"] for exchange in recording["exchanges"]}
    assert replay.replayed | conversation.skipped() == every
    assert not replay.replayed & conversation.skipped()


OUTCOMES = {
    "annotation_validation",
    "annotations_roundtrip_2.80.0",
    "api_misc",
    "labels_request",
    "labels_response_2.80.0",
    "lambda_extra_media",
    "sdk_calls_2.80.0",
    "sdk_steps_2.80.0",
    "skeleton117_request",
    "ui_save_flow",
    "webhook_create",
    "webhook_deliveries_list",
    "webhook_events",
    "webhook_failures",
    "webhook_org",
    "webhook_timeline",
}
"""Recordings of single requests and of what became of them; the other tests here go through them."""


def test_what_is_left_out_of_a_recording_is_in_it() -> None:
    for name, parts in PARTS.items():
        text = (RECORDINGS / f"{name}.json").read_text()
        assert [part for part in parts if f'"{part}"' not in text] == []


def test_every_recording_is_gone_through_or_left_out_for_a_reason() -> None:
    names = {path.stem for path in RECORDINGS.glob("*.json")}
    assert names == OUTCOMES | set(FILES)
    assert not OUTCOMES & set(FILES)
    assert {path.stem for path in (RECORDINGS / "http").glob("*.json")} == set(CONVERSATIONS)


@pytest.mark.skipif(not EVIDENCE.is_dir(), reason="the recordings these were copied from are not beside this clone")
def test_the_recordings_are_those_they_were_copied_from() -> None:
    def files(folder: Path) -> dict[str, str]:
        # Tracebacks in them name a home folder; the copies do not.
        home = "/" + "root/"
        return {
            str(path.relative_to(folder)): path.read_text().replace(home, "/opt/") for path in folder.rglob("*.json")
        }

    assert files(RECORDINGS) == files(EVIDENCE)


@pytest.mark.parametrize(
    ("ours", "place"),
    [
        ({"id": 8, "name": "a"}, "keys"),
        ({"id": 8, "name": "b", "task_id": 2}, "name"),
        ({"id": 8, "name": "a", "task_id": 3}, "task_id"),
        ({"id": 8, "name": "a", "task_id": None}, "task_id"),
    ],
)
def test_a_difference_is_noticed(ours: dict[str, object], place: str) -> None:
    ids = Ids()
    ids.learn("task", 1, 2)
    match({"id": 7, "name": "a", "task_id": 1}, {"id": 8, "name": "a", "task_id": 2}, ids, "row", kind="job")
    with pytest.raises(Mismatch, match=place):
        match({"id": 7, "name": "a", "task_id": 1}, ours, ids, "row", kind="job")
