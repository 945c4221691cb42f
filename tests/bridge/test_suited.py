"""What a model can do follows from its card's task."""

import pytest

from bridge.models.card import ModelCard
from bridge.models.suited import unsuited


@pytest.mark.parametrize(
    ("kind", "task", "reason"),
    [
        ("detect", "segment", None),
        ("detect", "pose", None),
        ("detect", None, None),
        ("detect", "inpaint", "m annotates no jobs: its task is inpaint"),
        ("detect", "interact", "m annotates no jobs: its task is interact"),
        ("remove-grid", "inpaint", None),
        ("remove-grid", None, None),
        ("remove-grid", "pose", "m removes no grids: its task is pose"),
    ],
)
def test_a_card_that_does_not_say_what_it_does_is_given_its_chance(
    kind: str, task: str | None, reason: str | None
) -> None:
    assert unsuited(ModelCard("m", "m", task=task), kind) == reason
