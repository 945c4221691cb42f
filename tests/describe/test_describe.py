"""A card's fields are read from weights of every kind; what cannot be read is said in words; nothing of them is run."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kelp.errors import KelpError
from predictors.describe.describe import describe
from predictors.describe.place import place_of
from tests.describe import files

ROOT = Path(__file__).parents[2]
REEF = ROOT / "demo" / "weights"
TINY = ROOT / "tests" / "data" / "weights"
GENERA = ["Acropora", "Porites"]
CONFIG = "model = dict(type='EncoderDecoder')\ndata_root = __import__('os').getcwd()\n"


def told(path: Path, **named: Path) -> dict[str, Any]:
    return describe(place_of(path, **named))


def refused(path: Path, **named: Path) -> str:
    with pytest.raises(KelpError) as caught:
        told(path, **named)
    return str(caught.value)


@pytest.mark.parametrize("ending", ["pt", "onnx"])
def test_a_segmenter(ending: str) -> None:
    found = told(REEF / f"pth-yolo-coralsegv4.{ending}")
    assert (found["runtime"], found["task"]) == ("yolo", "segment")
    assert found["input_hw"] == [384, 384]
    assert [label["name"] for label in found["labels"]][:2] == GENERA
    assert len(found["labels"]) == 16
    assert found["files"] == {"model": str(REEF / f"pth-yolo-coralsegv4.{ending}")}


@pytest.mark.parametrize("ending", ["pt", "onnx"])
def test_a_detector_and_a_pose_model(ending: str) -> None:
    assert {label["type"] for label in told(TINY / f"yolo-tiny-detect.{ending}")["labels"]} == {"rectangle"}
    found = told(TINY / f"yolo-tiny-pose.{ending}")
    assert (found["runtime"], found["task"], found["keypoints"]) == ("yolo", "pose", 4)
    (label,) = found["labels"]
    assert label["type"] == "skeleton"
    assert [point["name"] for point in label["sublabels"]] == ["1", "2", "3", "4"]


def test_a_checkpoint_is_read_where_torch_is_not_installed() -> None:
    code = (
        "import sys\nsys.modules['torch'] = sys.modules['ultralytics'] = None\n"
        "from predictors.describe.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, str(TINY / "yolo-tiny-pose.pt")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["keypoints"] == 4


def test_a_checkpoint_under_another_ending(tmp_path: Path) -> None:
    """As functions were packed: by content, where it is served under that ending."""
    packed = shutil.copy(TINY / "yolo-tiny-pose.pt", tmp_path / "model_weights.pth")
    assert told(tmp_path)["files"] == {"model": str(packed)}
    Path(packed).rename(tmp_path / "model_weights.ts")
    assert "served under the ending .pt or .pth only" in refused(tmp_path)


def test_an_engine_needs_no_tensorrt_to_be_described(tmp_path: Path) -> None:
    found = told(files.engine(tmp_path / "corners.engine"))
    assert (found["runtime"], found["task"], found["device"]) == ("yolo", "pose", "cuda")
    assert found["keypoints"] == 4
    (tmp_path / "bare.engine").write_bytes(b"\x00" * 100)
    assert "not a whole TensorRT engine with ultralytics' metadata" in refused(tmp_path / "bare.engine")
    assert "made for the task 'obb'" in refused(files.engine(tmp_path / "other.engine", task="obb"))


def test_an_inpainter_as_torchscript(tmp_path: Path) -> None:
    found = told(files.torchscript(tmp_path / "big-lama.pt"))
    assert (found["runtime"], found["task"], found["grid_shape"]) == ("lama", "inpaint", [9, 13])
    assert found["request_s"] == 600
    said = refused(files.torchscript(tmp_path / "doubler.pt", files.Doubler()))
    assert "takes image: expected an inpainter" in said


def test_a_training_run_by_its_folder(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "segment" / "train7"
    (run / "weights").mkdir(parents=True)
    for name in ("best.pt", "last.pt"):
        shutil.copy(REEF / "pth-yolo-coralsegv4.pt", run / "weights" / name)
    for place in (run, run / "weights", tmp_path / "runs", tmp_path):
        assert told(place)["files"] == {"model": str(run / "weights" / "best.pt")}
    shutil.copytree(run, run.with_name("train8"))
    assert "holds 2 training runs; name one of them, the newest first: " in refused(tmp_path)


@pytest.mark.parametrize("name", ["kp_template.npy", "kp_template_corners.npy"])
def test_a_pose_function_as_it_was_packed(tmp_path: Path, name: str) -> None:
    """Both templates may lie there, under either name: the number of points decides."""
    shutil.copy(TINY / "yolo-tiny-pose.pt", tmp_path / "model_weights.pt")
    for other in ("main.py", "function.yaml", "requirements.txt"):
        (tmp_path / other).write_text("raise SystemExit")
    files.template(tmp_path / name, 2, 2)
    files.template(tmp_path / "another.npy", 9, 13)
    found = told(tmp_path)
    assert found["runtime"] == "grid"
    assert found["files"] == {"model": str(tmp_path / "model_weights.pt"), "template": str(tmp_path / name)}
    assert found["grid_shape"] is None
    (tmp_path / name).unlink()
    assert told(tmp_path)["runtime"] == "yolo"
    assert any("has 117 points, the model 4" in note for note in told(tmp_path)["notes"])


def test_files_that_are_named_must_go_together(tmp_path: Path) -> None:
    """Named, not found: leaving them out would serve something else than was asked for."""
    pose, wrong = TINY / "yolo-tiny-pose.pt", files.template(tmp_path / "t.npy", 9, 13)
    assert "t.npy has 117 points, yolo-tiny-pose.pt finds 4" in refused(pose, template=wrong)
    assert "finds no poses" in refused(TINY / "yolo-tiny-detect.pt", template=wrong)
    assert "t.npy: not a NumPy file" in refused(pose, template=tmp_path / "none" / "t.npy")
    assert "which --config goes with" in refused(pose, config=tmp_path / "config.py")
    assert "which --sam goes with" in refused(pose, sam=files.sam(tmp_path / "sam_weights.pth"))


def test_a_segmenter_beside_arrays_of_its_own(tmp_path: Path) -> None:
    shutil.copy(REEF / "pth-yolo-coralsegv4.onnx", tmp_path / "best.onnx")
    np.save(tmp_path / "labels.npy", np.zeros(3))
    assert told(tmp_path)["runtime"] == "yolo"


def test_rows_and_columns_come_from_the_template(tmp_path: Path) -> None:
    from predictors.describe.describe import grid_shape_of

    assert grid_shape_of(files.template(tmp_path / "grid.npy", 9, 13)) == [9, 13]
    np.save(tmp_path / "loose.npy", np.random.default_rng(1).random((12, 2)))
    assert grid_shape_of(tmp_path / "loose.npy") is None


@pytest.mark.parametrize("bare", [True, False])
def test_a_coralscop_function_as_it_was_packed(tmp_path: Path, bare: bool) -> None:
    files.mmseg(tmp_path / "segformer_weights.pth", ["background", *GENERA], bare=bare)
    files.sam(tmp_path / "sam_weights.pth")
    (tmp_path / "config.py").write_text(CONFIG)
    found = told(tmp_path)
    assert (found["runtime"], found["task"], found["memory"]) == ("coralscop", "segment", "16Gi")
    assert [label["name"] for label in found["labels"]] == GENERA
    assert found["labels"][0]["color"] == "#0102ff"
    assert {role: Path(file).name for role, file in found["files"].items()} == {
        "segformer_config": "config.py", "segformer": "segformer_weights.pth", "sam": "sam_weights.pth",
    }  # fmt: skip
    assert any("config.py is code" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("_base_ = ['./base.py']\n", r"builds on other files \(_base_\).*: the \.py beside its checkpoints"),
        ("x = (", "config.py: not Python"),
        (None, "config.py: cannot be read: Is a directory"),
    ],
)
def test_a_config_that_could_not_be_started(tmp_path: Path, config: str | None, said: str) -> None:
    files.mmseg(tmp_path / "segformer_weights.pth", ["background", *GENERA])
    files.sam(tmp_path / "sam_weights.pth")
    if config is None:
        (tmp_path / "config.py").mkdir()
    else:
        (tmp_path / "config.py").write_text(config)
    assert re.search(said, refused(tmp_path))
    assert "nosuch.py: cannot be read: No such file" in refused(tmp_path, config=tmp_path / "nosuch.py")


def test_a_checkpoint_of_mmsegmentation_with_what_belongs_to_it(tmp_path: Path) -> None:
    (tmp_path / "work_dirs").mkdir()
    checkpoint = files.mmseg(tmp_path / "work_dirs" / "best_mIoU_epoch_140.pth", None, count=2)
    assert "needs its config" in refused(checkpoint)
    config = tmp_path / "dinov2.py"
    config.write_text(f"{CONFIG}metainfo = dict(classes=('Acropora', 'Porites'))\nraise SystemExit\n")
    assert "give CoralSCoP's segment-anything" in refused(checkpoint, config=config)
    found = told(checkpoint, config=config, sam=files.sam(tmp_path / "vit_b_coralscop.pth"))
    assert [label["name"] for label in found["labels"]] == GENERA
    config.write_text(f"{CONFIG}classes = ['one', 'two', 'three']\n")
    assert "tells 2 classes apart, and 3 are named" in refused(
        checkpoint, config=config, sam=tmp_path / "vit_b_coralscop.pth"
    )
    assert "--sam expects" in refused(checkpoint, config=config, sam=checkpoint)
    assert "names no classes" in refused(tmp_path / "vit_b_coralscop.pth")


def cut(path: Path, source: Path) -> Path:
    path.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    return path


def test_what_cannot_be_read_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").touch()
    assert refused(tmp_path / "empty.pt") == "empty.pt: the file is empty"
    assert "not a whole PyTorch file" in refused(cut(tmp_path / "cut.pt", REEF / "pth-yolo-coralsegv4.pt"))
    assert "onnxruntime cannot load it" in refused(cut(tmp_path / "cut.onnx", REEF / "pth-yolo-coralsegv4.onnx"))
    (tmp_path / "noise.pt").write_bytes(os.urandom(2000))
    assert "noise.pt: not a" in refused(tmp_path / "noise.pt")
    (tmp_path / "page.pt").write_text("<!doctype html>")
    assert refused(tmp_path / "page.pt") == "page.pt: not a PyTorch file"
    torch.save([1, 2], tmp_path / "list.pt")
    assert "list.pt: holds a list: expected a YOLO of ultralytics" in refused(tmp_path / "list.pt")
    torch.save({"optimizer": {}, "epoch": 3}, tmp_path / "other.pt")
    assert "holds a mapping of optimizer, epoch" in refused(tmp_path / "other.pt")
    with zipfile.ZipFile(tmp_path / "archive.pt", "w") as archive:
        archive.writestr("notes.txt", "no weights")
    assert "a zip file, but not one of torch's" in refused(tmp_path / "archive.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"a": 1}))
    assert "a pickle, but not one of torch's" in refused(tmp_path / "plain.pt")
    assert "no such file or folder" in refused(tmp_path / "nowhere.pt")
    assert "expected weights" in refused(ROOT / "README.md")
    assert "holds no weights" in refused(ROOT / "docs")
    assert "holds several that may be meant" in refused(TINY)


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_of_a_crafted_file_is_run(tmp_path: Path, legacy: bool) -> None:
    mark = tmp_path / "was-run"
    torch.save({"model": _Evil(mark)}, tmp_path / "evil.pt", _use_new_zipfile_serialization=not legacy)
    assert "system" in refused(tmp_path / "evil.pt")
    assert not mark.exists()
    # In a state beside honest layers it is seen, too, because serving would refuse it.
    honest: Any = torch.load(REEF / "pth-yolo-coralsegv4.pt", map_location="cpu", weights_only=False)
    honest["model"].criterion = _Evil(mark)
    torch.save(honest, tmp_path / "half.pt")
    assert "which no YOLO checkpoint needs" in refused(tmp_path / "half.pt")
    assert not mark.exists()


def test_a_memo_of_any_size_costs_no_memory(tmp_path: Path) -> None:
    (tmp_path / "bomb.pt").write_bytes(b"\x80\x02K\x01r\xff\xff\xff\xff.")
    assert "not one of torch's" in refused(tmp_path / "bomb.pt")


def test_names_that_cvat_would_refuse_are_changed_and_told(tmp_path: Path) -> None:
    names = {"0": "coral", "1": "coral", "2": " ", "3": "x" * 80}
    found = told(files.engine(tmp_path / "m.engine", task="detect", names=names))
    assert [label["name"] for label in found["labels"]] == ["coral", "coral 1", "label 2", "x" * 64]
    assert len(found["notes"]) == 3
