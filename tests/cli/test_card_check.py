"""`kelp card check` tells what a start would refuse, where the files lie here and tell it at once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelp.weights.cache import sha256_of
from tests.cli.conftest import run_kelp
from tests.describe import files
from tests.local.conftest import ROOT

TINY = ROOT / "tests" / "data" / "weights"
GRID_ROLES = {"model": {"file": "best.onnx"}, "template": {"file": "kp_template.npy"}}


def card_in(folder: Path, **fields: Any) -> Path:
    path = folder / "card.yaml"
    path.write_text(yaml.safe_dump({"name": "model", **fields}))
    return path


@pytest.mark.parametrize(
    ("rows", "columns", "more", "said"),
    [
        (2, 2, {}, None),
        (9, 13, {}, "weights: kp_template.npy: 117 points, but the model has 4"),
        (2, 2, {"grid_shape": [9, 13]}, "weights: kp_template.npy: 4 points, but the card's grid_shape 9 × 13 has 117"),
    ],
)
def test_a_template_that_does_not_fit(
    tmp_path: Path, rows: int, columns: int, more: dict[str, Any], said: str | None
) -> None:
    shutil.copy(TINY / "yolo-tiny-pose.onnx", tmp_path / "best.onnx")
    files.template(tmp_path / "kp_template.npy", rows, columns)
    weights = {"uri": ".", "files": GRID_ROLES}
    done = run_kelp("card", "check", card_in(tmp_path, runtime="grid", task="pose", weights=weights, **more))
    assert done.returncode == (1 if said else 0), done.stderr
    assert said is None or said in done.stderr


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("model = dict(type='EncoderDecoder')\n", None),
        ("_base_ = ['./base.py']\n", "weights: config.py: builds on other files (_base_)"),
        ("x = (", "weights: config.py: not Python"),
    ],
)
def test_a_config_that_cannot_be_started(tmp_path: Path, config: str, said: str | None) -> None:
    files.mmseg(tmp_path / "segformer.pth", ["Acropora", "Porites"])
    files.sam(tmp_path / "sam.pth")
    (tmp_path / "config.py").write_text(config)
    roles = {"segformer_config": "config.py", "segformer": "segformer.pth", "sam": "sam.pth"}
    entries = {role: {"file": name, "sha256": sha256_of(tmp_path / name)} for role, name in roles.items()}
    done = run_kelp(
        "card", "check",
        card_in(tmp_path, runtime="coralscop", task="segment", weights={"uri": ".", "files": entries}),
    )  # fmt: skip
    assert done.returncode == (1 if said else 0), done.stderr
    assert said is None or said in done.stderr


def test_weights_that_are_not_there_yet_are_no_fault_of_the_runtimes(tmp_path: Path) -> None:
    weights = {"uri": "s3://reef/grid", "files": GRID_ROLES}
    done = run_kelp("card", "check", card_in(tmp_path, runtime="grid", task="pose", weights=weights))
    assert done.returncode == 0, done.stderr
