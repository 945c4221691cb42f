"""An exported file is kept only where it finds what its checkpoint finds."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml

from demo.reef import DEMO_SEEDS, render
from kelp.card import load_card
from predictors.common.errors import WeightsError
from predictors.yolo.export.make import NotHere, check_machine
from predictors.yolo.export.run import Disagrees, Wish, export
from tests.cli.conftest import Done, run_process
from tests.describe import files
from tests.support.predictor import wait_for
from tests.yolo.models import REEF, ROOT, TINY, ask, load

TRAINED = {
    "segment": REEF / "pth-yolo-coralsegv4.pt",
    "detect": TINY / "yolo-tiny-detect.pt",
    "pose": TINY / "yolo-tiny-pose.pt",
}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in DEMO_SEEDS[:3]:
        cv2.imwrite(str(folder / f"{seed}.jpg"), render(seed, 640).image[..., ::-1])
    return folder


def carded(folder: Path, task: str, **more: object) -> Path:
    """A copy of the trained checkpoint in `folder`, and its card with a comment."""
    shutil.copy(TRAINED[task], folder / "best.pt")
    path = folder / "corals.yaml"
    fields = {"name": "corals", "runtime": "yolo", "task": task, "weights": {"uri": "best.pt"}, **more}
    path.write_text("# Mine.\n" + yaml.safe_dump(fields, sort_keys=False))
    return path


@pytest.mark.parametrize("task", ["segment", "detect", "pose"])
def test_an_export_finds_the_same_and_is_kept(tmp_path: Path, pictures: Path, task: str) -> None:
    card = load_card(carded(tmp_path, task))
    told = export(card, Wish("onnx", tmp_path / "made.onnx", pictures))
    assert told["agreement"]["instances"] > 0
    assert told["agreement"]["largest_move_of_a_box_px"] < 1
    made = load(tmp_path / "made.onnx", task)
    assert made.labels == load(TRAINED[task], task).labels
    assert made.engine.facts.input_hw == load(TRAINED[task], task).engine.facts.input_hw
    text = str(onnx.load(tmp_path / "made.onnx").metadata_props)
    assert str(tmp_path) not in text
    assert "date" not in text
    assert not list(tmp_path.glob(".kelp-export*"))


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """ultralytics' export replaced by one that spoils a weight on the way."""

    def make(file: Path, form: str, task: str, target: Path, **_: object) -> None:
        graph = onnx.load(TINY / "yolo-tiny-detect.onnx")
        from onnx import numpy_helper

        tensor = max(graph.graph.initializer, key=lambda t: len(t.raw_data))
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 0.6, tensor.name))
        onnx.save(graph, target)

    monkeypatch.setattr("predictors.yolo.export.run.make", make)


@pytest.mark.parametrize("there", [None, b"in service"], ids=["new", "in-service"])
def test_a_file_that_finds_something_else_is_not_kept(
    tmp_path: Path, pictures: Path, spoilt: None, there: bytes | None
) -> None:
    """What was in service stays, whatever becomes of the new one."""
    made = tmp_path / "made.onnx"
    if there:
        made.write_bytes(there)
    card = load_card(carded(tmp_path, "detect"))
    with pytest.raises(Disagrees, match=r"made\.onnx does not find what best\.pt finds, and is not kept: "):
        export(card, Wish("onnx", made, pictures))
    assert (made.read_bytes() if made.exists() else None) == there
    assert not list(tmp_path.glob(".kelp-export*"))


def test_wishes_that_cannot_be_met_are_said_in_words(tmp_path: Path) -> None:
    card = load_card(carded(tmp_path, "detect"))
    for wish, said in (
        (Wish("onnx", tmp_path / "made.onnx", image_size=100), "image size 100: expected a multiple of 32, such as 96"),
        (Wish("onnx", tmp_path / "none" / "made.onnx"), "none: no such folder"),
        (Wish("onnx", tmp_path / "made.onnx", half=True), "half precision is chosen for an engine"),
    ):
        with pytest.raises(WeightsError, match=said):
            export(card, wish)
    assert not (tmp_path / "made.onnx").exists()


def test_scores_that_tie_are_no_disagreement(tmp_path: Path) -> None:
    """Which of a hundred equal boxes survive is chance; a random network of the newest kind has little else."""
    from tests.yolo.zoo import checkpoint

    weights = checkpoint("pose-two-heads", tmp_path)
    fields = {"name": "nonsense", "runtime": "yolo", "task": "pose", "weights": {"uri": str(weights)}}
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(fields))
    told = export(load_card(tmp_path / "card.yaml"), Wish("onnx", tmp_path / "made.onnx"))
    assert told["agreement"]["instances"] > 0


def test_a_checkpoint_that_nobody_trusts_is_not_exported(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'was-run'}",)

    card = carded(tmp_path, "detect")
    torch.save({"model": Evil()}, tmp_path / "best.pt")
    with pytest.raises(WeightsError, match="which no YOLO checkpoint needs"):
        export(load_card(card), Wish("onnx", tmp_path / "made.onnx"))
    assert not (tmp_path / "was-run").exists()
    assert not (tmp_path / "made.onnx").exists()


def kelp(*arguments: object) -> Done:
    return run_process(*arguments)


def test_the_command_writes_a_card_beside(tmp_path: Path, pictures: Path) -> None:
    card = carded(tmp_path, "detect", title="Boxes")
    beside = tmp_path / "corals-onnx.yaml"
    for file in (beside, tmp_path / "best.onnx"):
        file.write_text("in service")
        done = kelp("export", card, "--format", "onnx")
        assert done.returncode == 2
        assert f"{file} is there already" in done.stderr
    done = kelp("export", card, "--format", "onnx", "--images", pictures, "--force")
    assert done.returncode == 0, done.stderr
    assert "best.onnx finds what best.pt finds" in done.stderr
    assert done.stdout.strip() == str(beside)
    assert load_card(beside).model_name == "corals-onnx"
    assert beside.read_text().startswith("# Mine.\n")
    checked = kelp("card", "check", tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert load_card(card).weights.uri.endswith("best.pt")


def test_an_interrupted_export_leaves_what_is_in_service(tmp_path: Path, pictures: Path) -> None:
    card = carded(tmp_path, "detect")
    for name in ("best.onnx", "corals-onnx.yaml"):
        (tmp_path / name).write_text("in service")
    command = [sys.executable, "-m", "kelp.cli", "export", str(card), "--format", "onnx", "--images", str(pictures)]
    # A terminal's Ctrl-C goes to the whole group.
    process = subprocess.Popen([*command, "--force"], cwd=ROOT, stderr=subprocess.PIPE, text=True, process_group=0)
    try:
        # Deep in the export: within the process's own folder beside the target.
        wait_for(lambda: process.poll() is not None or any(tmp_path.glob(".kelp-export*/.kelp-export*")), 60)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert (tmp_path / "best.onnx").read_text() == (tmp_path / "corals-onnx.yaml").read_text() == "in service"
    assert not list(tmp_path.glob(".kelp-export*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--half"], "--half goes with --format engine"),
        (["--out", "none-such/best.onnx"], "none-such: no such folder"),
        (["--image-size", "100"], "image size 100: expected a multiple of 32, such as 96 or 128"),
    ],
)
def test_the_command_says_what_cannot_be_done(tmp_path: Path, options: list[str], said: str) -> None:
    done = kelp("export", carded(tmp_path, "detect"), "--format", "onnx", *options)
    assert done.returncode in (1, 2)
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_command_updates_the_card_itself(tmp_path: Path, pictures: Path) -> None:
    card = carded(tmp_path, "detect")
    done = kelp("export", card, "--format", "onnx", "--images", pictures, "--update")
    assert done.returncode == 0, done.stderr
    changed = load_card(card)
    assert changed.weights.uri.endswith("best.onnx")
    assert changed.weights.sha256
    assert kelp("card", "check", card).returncode == 0
    done = kelp("export", card, "--format", "onnx")
    assert done.returncode == 2
    assert "an export begins with a checkpoint (.pt)" in done.stderr


def without_gpu() -> None:
    try:
        check_machine("engine")
    except NotHere:
        return
    pytest.skip("TensorRT and a GPU are here")


def test_an_engine_says_what_is_missing(tmp_path: Path) -> None:
    without_gpu()
    done = kelp("export", carded(tmp_path, "detect"), "--format", "engine")
    assert done.returncode == 2
    assert "cannot be made here, there is missing: " in done.stderr
    assert "a GPU with its driver" in done.stderr
    assert not (tmp_path / "best.engine").exists()
    assert not (tmp_path / "corals-engine.yaml").exists()


def test_an_engine_is_not_served_where_there_is_no_gpu(tmp_path: Path) -> None:
    without_gpu()
    engine = files.engine(tmp_path / "corners.engine")
    with pytest.raises(WeightsError, match="a TensorRT engine needs what is not here: a GPU"):
        load(engine, "pose")
    with pytest.raises(WeightsError, match="the card says device 'cpu'"):
        load(engine, "pose", device="cpu")


class Onnx:
    """An engine's stand-in, as ultralytics' backend is called: the same network by onnxruntime, into buffers that the
    next call writes over, for at most as many images as it was made for."""

    fp16 = False

    def __init__(self, file: Path, most: int, whole: bool) -> None:
        self._session = onnxruntime.InferenceSession(str(file))
        self._most, self._whole = most, whole
        self._buffers: list[torch.Tensor] = []

    def __call__(self, batch: torch.Tensor) -> list[torch.Tensor]:
        assert len(batch) <= self._most
        assert not self._whole or len(batch) == self._most
        for buffer in self._buffers:
            buffer.zero_()
        self._buffers = [torch.from_numpy(answer) for answer in self._session.run(None, {"images": batch.numpy()})]
        return self._buffers


@pytest.mark.parametrize("dynamic", [True, False])
def test_an_engine_answers_like_its_checkpoint(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, dynamic: bool
) -> None:
    """What lies between ultralytics' TensorRT backend and the model: sizes, batches, buffers, metadata."""
    source = REEF / "pth-yolo-coralsegv4.onnx"
    metadata = {entry.key: entry.value for entry in onnx.load(source).metadata_props}
    about = {"names": ast.literal_eval(metadata["names"]), "imgsz": [384, 384], "kpt_shape": None}
    engine = files.engine(tmp_path / "corals.engine", task="segment", batch=2, args={"dynamic": dynamic}, **about)
    monkeypatch.setattr("predictors.yolo.tensorrt_engine.missing", list)
    monkeypatch.setattr("predictors.yolo.tensorrt_engine._DEVICE", "cpu")
    monkeypatch.setattr("predictors.yolo.tensorrt_engine._backend", lambda file, device: Onnx(source, 2, not dynamic))
    images = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in sorted(pictures.iterdir())]
    found = ask(load(engine, device="cuda"), images)
    expected = ask(load(source), images)
    assert [len(one) for one in found] == [len(one) for one in expected]
    assert sum(map(len, found)) > 5
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.box, other.box, atol=0.5)
        np.testing.assert_array_equal(one.label_id, other.label_id)


def test_a_grid_model_is_exported_beside_its_template(tmp_path: Path, pictures: Path) -> None:
    template = files.template(tmp_path / "kp_template.npy", 2, 2).name
    roles = {"model": {"file": "best.pt"}, "template": {"file": template}}
    card = carded(tmp_path, "pose", runtime="grid", weights={"uri": ".", "files": roles})
    done = kelp("export", card, "--format", "onnx", "--images", pictures)
    assert done.returncode == 0, done.stderr
    made = load_card(Path(done.stdout.strip()))
    assert made.weights.files["model"].file == "best.onnx"
    assert made.weights.files["template"].file == template
    assert kelp("card", "check", tmp_path).returncode == 0


@pytest.mark.slow
def test_another_size_is_exported_too(tmp_path: Path, pictures: Path) -> None:
    card = load_card(carded(tmp_path, "segment"))
    told = export(card, Wish("onnx", tmp_path / "made.onnx", pictures, image_size=512))
    assert told["input_hw"] == [512, 512]


def test_python_m_answers_json_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "predictors.yolo.export", str(tmp_path / "none.yaml"), "--format", "onnx"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "x.onnx")], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "none.yaml" in done.stdout
