"""What `kelp deploy` says while it waits, where nobody sees a bar: a log of a pipeline."""

from typing import Any

import pytest

from kelp.card import parse_card
from kelp.cli import deploying
from kelp.deploy.cluster import waking, watching
from kelp.deploy.cluster.deploying import Applied
from kelp.errors import TooLate

CARD = "{name: corals, runtime: yolo, task: segment, weights: {uri: 's3://b/best.onnx'}}"
NO_ROOM = "corals: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."


def test_each_reason_is_said_once_as_it_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ready(cluster: Any, name: str, patience: float, note: watching.Note, former: str | None) -> None:
        note(f"{name}: not ready yet")

    def wake(cluster: Any, card: Any, note: watching.Note) -> float:
        for _ in range(3):
            note(NO_ROOM)
        assert NO_ROOM in capsys.readouterr().err, "said while it waits"
        note(NO_ROOM)
        note("corals: starting")
        raise TooLate("too late")

    monkeypatch.setattr(watching, "wait_until_ready", ready)
    monkeypatch.setattr(waking, "wake", wake)
    seen = deploying._see(None, parse_card(CARD, source="x"), deploying.Plan(), Applied(True, None))  # type: ignore[arg-type]
    assert not seen
    assert capsys.readouterr().err.splitlines() == ["corals: starting", "kelp: too late"]
