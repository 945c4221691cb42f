"""The stand-in against every recorded conversation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.cvat import Account, Running, Settings
from tests.cvat.conversations import CONVERSATIONS
from tests.cvat.replay import PASSWORDS, Replay, answer_like_recorded
from tests.support.receiver import Receiver

RECORDINGS = Path(__file__).parents[1] / "recordings"
DELIVERY_TIMEOUT_S = 0.5
ACCOUNTS = tuple(Account(name, password, name == "admin") for name, password in PASSWORDS.items())


@pytest.mark.parametrize("name", [path.stem for path in sorted((RECORDINGS / "http").glob("*.json"))])
def test_a_recorded_conversation_goes_the_same_way(name: str) -> None:
    recording = json.loads((RECORDINGS / "http" / f"{name}.json").read_text())
    settings = Settings(ACCOUNTS, delivery_timeout_s=DELIVERY_TIMEOUT_S, import_s=0.1)
    with Receiver(answer_like_recorded(hang=2 * DELIVERY_TIMEOUT_S)) as receiver, Running(settings) as running:
        replay = Replay(
            recording, CONVERSATIONS[name], running.url, receiver, lambda: running.server.sender.wait_idle(20)
        )
        try:
            replay.run()
        finally:
            replay.close()
