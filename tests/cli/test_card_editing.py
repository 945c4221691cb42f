"""A card gets other weights in its own words: comments, order and quotes stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kelp.cli.card_editing import with_weights

OLD, NEW = "a" * 64, "b" * 64
HEAD = "# Mine.\nname: corals  # of the lagoon\nruntime: yolo\ntask: segment\n"


ROLES = "weights:\n  uri: .\n  files:\n    template: {file: t.npy}\n    model: "


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("weights:\n  uri: best.pt # mine\n  sha256: OLD\n", "weights:\n  uri: best.onnx # mine\n  sha256: NEW\n"),
        ("weights:\n  uri: best.pt\n", "weights:\n  uri: best.onnx\n  sha256: NEW\n"),
        ('weights: {uri: "best.pt", sha256: OLD}\n', 'weights: {uri: "best.onnx", sha256: NEW}\n'),
        ("weights: {uri: best.pt}\n", "weights: {uri: best.onnx, sha256: NEW}\n"),
        (f"{ROLES}{{file: best.pt, sha256: OLD}}\n", f"{ROLES}{{file: best.onnx, sha256: NEW}}\n"),
    ],
    ids=["block", "block-without-sha256", "flow", "flow-without-sha256", "roles"],
)
def test_comments_stay(tmp_path: Path, weights: str, expected: str) -> None:
    card = tmp_path / "corals.yaml"
    card.write_text(HEAD + weights.replace("OLD", OLD))
    assert with_weights(card, tmp_path / "best.onnx", NEW, {}) == HEAD + expected.replace("NEW", NEW)
    versioned = with_weights(card, tmp_path / "best.onnx", NEW, {"version": "v2", "device": "cuda"})
    assert versioned.startswith("# Mine.\nname: corals  # of the lagoon\n")
    fields = yaml.safe_load(versioned)
    assert (fields["version"], fields["device"]) == ("v2", "cuda")


def test_a_card_in_other_words_is_written_anew(tmp_path: Path) -> None:
    card = tmp_path / "corals.yaml"
    card.write_text(HEAD + "weights:\n  'uri':\n    best.pt\nsettings: {conf_threshold: 0.4}\n")
    fields = yaml.safe_load(with_weights(card, tmp_path / "best.onnx", NEW, {}))
    assert fields["weights"] == {"uri": "best.onnx", "sha256": NEW}
    assert fields["settings"] == {"conf_threshold": 0.4}
