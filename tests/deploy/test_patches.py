"""What an environment changes of the shipped cards."""

from pathlib import Path

import pytest

from kelp.deploy.patches import patched_cards
from kelp.errors import KelpError

CARD = "name: {name}\nruntime: yolo\ntask: segment\nweights: {{uri: ../weights/best.pt}}\nscale: {{retention: 60}}\n"


@pytest.fixture
def cards(tmp_path: Path) -> list[Path]:
    (tmp_path / "models").mkdir()
    files = []
    for name in ("corals", "fish"):
        files.append(tmp_path / "models" / f"{name}.yaml")
        files[-1].write_text(CARD.format(name=name))
    return files


def changes(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cards.yaml"
    path.write_text(text)
    return path


def test_all_then_one_and_null_leaves_out(tmp_path: Path, cards: list[Path]) -> None:
    text = "'*': {scale: {max: 2}, title: All}\ncorals: {scale: {max: 4}, title: null}\nfish: null"
    found = patched_cards(cards, changes(tmp_path, text))
    assert found.keys() == {"corals"}
    corals = found["corals"]
    assert (corals.scale.max, corals.scale.retention, corals.title) == (4, 60, "")


def test_weights_are_seen_from_the_cards_own_file(tmp_path: Path, cards: list[Path]) -> None:
    found = patched_cards(cards, changes(tmp_path, "corals: {weights: {uri: ../weights/other.pt}}"))
    assert found["corals"].weights.uri == str((tmp_path / "weights" / "other.pt").resolve())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sharks: {title: x}", "no such model: sharks"),
        ("corals: {scale: {most: 4}}", "scale.most: unknown field"),
        ("- corals", "expected a mapping"),
    ],
)
def test_faults_name_the_file_and_the_field(tmp_path: Path, cards: list[Path], text: str, says: str) -> None:
    with pytest.raises(KelpError, match=says) as refused:
        patched_cards(cards, changes(tmp_path, text))
    assert "cards.yaml" in refused.value.message
