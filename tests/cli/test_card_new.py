"""`kelp card new`: copy the weights, run it, done: the card is checked, and served."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import yaml

from kelp.cli.exits import UsageError
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
        ("runs/gridcorners/detect/train14/weights/best.pt", "gridcorners"),
        ("work_dirs/dinov2/best_mIoU_epoch_140.pth", "dinov2"),
        ("lagoon/training_reef.pt", "training-reef"),
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


@pytest.mark.parametrize("path", ["runs/segment/train/weights/best.pt", "runs/detect/train-12/weights/last.pt"])
def test_a_path_that_names_no_model_is_asked_about(tmp_path: Path, path: str) -> None:
    """The folders above `runs` are where somebody works."""
    file = tmp_path / "home" / path
    file.parent.mkdir(parents=True)
    shutil.copy(TINY / "yolo-tiny-detect.onnx", file.with_suffix(".onnx"))
    for source in (file.with_suffix(".onnx"), file.parent):
        done = run_kelp("card", "new", "--from", source, "-o", "-")
        assert done.returncode == 2
        assert "no name for the model: give one with --name" in done.stderr


def test_files_that_only_the_disk_holds_together() -> None:
    """The whole disk would be the card's own weights folder."""
    from kelp.cli.card_writing import _weights
    from kelp.cli.describing import Described

    roles = {"model": Path("/data/best.pt"), "template": Path("/srv/kp_template.npy")}
    found = Described("grid", "pose", roles, [], None, 4, None, None, "8Gi", None, [])
    with pytest.raises(UsageError, match=r"only / holds them all.*: put them in one"):
        _weights(found, dict.fromkeys(roles, "0"), None)


@pytest.mark.parametrize("there", ["# Mine.\n", None])
def test_a_card_that_cannot_be_written_leaves_what_was_there(tmp_path: Path, there: str | None) -> None:
    target = tmp_path / "boxes.yaml"
    if there:
        target.write_text(there)
    command = [sys.executable, "-m", "kelp.cli", "card", "new", "--from", TINY / "yolo-tiny-detect.onnx"]
    done = subprocess.run(
        [*command, "--name", "boxes", "-o", target, "--force"], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "boxes.yaml: cannot be written: File too large" in done.stderr
    assert (target.read_text() if target.exists() else None) == there
    assert {file.name for file in tmp_path.iterdir()} == ({"boxes.yaml"} if there else set())


def test_a_setting_that_names_no_folder_is_said(tmp_path: Path) -> None:
    done = run_kelp(
        "card", "new", "--from", TINY / "yolo-tiny-detect.onnx", "--name", "a", KELP_MODELS=str(tmp_path / "models")
    )
    assert done.returncode == 2
    assert "models (KELP_MODELS): no such folder: make it, or say another with -o" in done.stderr


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
