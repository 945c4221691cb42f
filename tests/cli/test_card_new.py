"""`kelp card new`: copy the weights, run it, done: the card is checked, and served."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import yaml

from tests.cli.conftest import run_kelp
from tests.describe import files
from tests.local.conftest import ROOT
from tests.support.predictor import Predictor

REEF = ROOT / "demo" / "weights"
TINY = ROOT / "tests" / "data" / "weights"


def written(*arguments: object, **environment: str) -> Path:
    done = run_kelp("card", "new", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.mark.parametrize("source", [REEF / "pth-yolo-coralsegv4.onnx", TINY / "yolo-tiny-pose.pt"], ids=str)
def test_the_card_is_right_and_is_served(tmp_path: Path, source: Path) -> None:
    card = written("--from", source, "-o", tmp_path, "--name", "corals")
    assert card == tmp_path / "corals.yaml"
    done = run_kelp("card", "check", card)
    assert done.returncode == 0, done.stderr
    fields = yaml.safe_load(card.read_text())
    fields["weights"]["uri"] = str((tmp_path / fields["weights"]["uri"]).resolve())
    image = cv2.imencode(".png", np.full((64, 64, 3), 90, np.uint8))[1].tobytes()
    with Predictor(tmp_path / "server", fields) as server:
        tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": [90] * 192}
        answer = httpx.post(server.infer_url, json={"inputs": [tensor]}, timeout=60)
        assert answer.status_code == 200, answer.text
    assert image


def test_a_folder_with_a_template_becomes_a_grid_card(tmp_path: Path) -> None:
    shutil.copy(TINY / "yolo-tiny-pose.onnx", tmp_path / "model_weights.onnx")
    files.template(tmp_path / "kp_template.npy", 2, 2)
    (tmp_path / "models").mkdir()
    card = written("--from", tmp_path, "--name", "corners", "--orientation", "mark", "-o", f"{tmp_path}/models/")
    fields = yaml.safe_load(card.read_text())
    assert fields["runtime"] == "grid"
    assert fields["orientation"] == "mark"
    assert fields["weights"]["uri"] == ".."
    assert set(fields["weights"]["files"]) == {"model", "template"}
    done = run_kelp("card", "check", card)
    assert done.returncode == 0, done.stderr


def test_two_versions_stand_side_by_side(tmp_path: Path) -> None:
    source = REEF / "pth-yolo-coralsegv4.onnx"
    first = written("--from", source, "-o", tmp_path, "--name", "corals", "--title", "Corals of the lagoon")
    text = first.read_text().replace("resources:", "settings: {conf_threshold: 0.4}\nresources:")
    first.write_text(text.replace("name: Acropora, type: any, color", "name: Acropora, type: polygon, color"))
    again = run_kelp("card", "new", "--from", source, "-o", tmp_path, "--name", "corals")
    assert again.returncode == 2
    assert "--version v2 puts a second one beside it" in again.stderr
    second = yaml.safe_load(
        written("--from", source.with_suffix(".pt"), "-o", tmp_path, "--name", "corals", "--version", "v2").read_text()
    )
    assert second["title"] == "Corals of the lagoon"
    assert second["settings"] == {"conf_threshold": 0.4}
    assert second["labels"][0]["type"] == "polygon"
    assert second["weights"]["uri"].endswith(".pt")
    assert run_kelp("card", "check", tmp_path).returncode == 0
    assert first.read_text() == text.replace("name: Acropora, type: any, color", "name: Acropora, type: polygon, color")


def test_it_goes_where_kelp_up_looks(tmp_path: Path) -> None:
    card = written("--from", TINY / "yolo-tiny-detect.onnx", "--name", "boxes", KELP_MODELS=str(tmp_path))
    assert card == tmp_path / "boxes.yaml"
    printed = run_kelp("card", "new", "--from", TINY / "yolo-tiny-detect.onnx", "--name", "boxes", "-o", "-")
    assert Path(yaml.safe_load(printed.stdout)["weights"]["uri"]).is_absolute()
    assert "yolo" in printed.stdout


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/segment/criobe_finegrained_yolo11m/weights/best.pt", "criobe-finegrained-yolo11m"),
        ("deploy/coralsegv4/nuclio/model_weights.pt", "coralsegv4"),
        ("weights/pth-yolo-coralsegv4.pt", "pth-yolo-coralsegv4"),
    ],
)
def test_a_name_is_made_of_what_says_most(tmp_path: Path, path: str, name: str) -> None:
    from kelp.cli.card_writing import name_from

    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.touch()
    assert name_from(file) == name
    if path.startswith("runs"):
        assert name_from(file.parent.parent) == name


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--from", "/none-such.pt"], 1, "/none-such.pt: no such file or folder"),
        (["--from", TINY / "yolo-tiny-detect.onnx", "--name", "No Name", "-o", "-"], 2, "name: "),
        (["--from", TINY / "yolo-tiny-detect.onnx", "-o", "/none-such/"], 2, "no such folder"),
        (["--from", TINY / "yolo-tiny-detect.onnx", "--version", "V 2", "-o", "-"], 2, "version"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[object], code: int, said: str) -> None:
    done = run_kelp("card", "new", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
