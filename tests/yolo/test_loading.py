"""What is wrong with weights is said at load, in words: labels, task, device, files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from kelp.card import Card, parse_card
from kelp.errors import NotReady
from predictors.common.cpus import _quota, network_threads
from predictors.common.errors import UntrustedWeights, WeightsError
from predictors.model import Item
from predictors.yolo import create
from predictors.yolo.facts import Facts, labels_for, names_of, size_of
from predictors.yolo.onnx_engine import OnnxEngine
from tests.yolo.models import EVERYTHING, REEF, ask, card, load

ONNX = REEF / "pth-yolo-coralsegv4.onnx"
BOTH = [ONNX, ONNX.with_suffix(".pt")]
GENERA = ("Acropora", "Porites")


def known(names: tuple[str, ...] = GENERA, task: str = "segment", points: int | None = None) -> Facts:
    return Facts(task, names, (64, 64), 32, True, None, (points, 3) if points else None, False)


def labelled(*names: str) -> Card:
    return card(labels=json.dumps([{"name": name} for name in names]))


def test_labels_come_from_the_card_else_from_the_weights() -> None:
    assert labels_for(card(), known(), "w.pt") == GENERA
    assert labels_for(labelled("table coral", "boulder coral"), known(), "w.pt") == ("table coral", "boulder coral")
    assert labels_for(labelled("table coral"), known(()), "w.onnx") == ("table coral",)


@pytest.mark.parametrize(
    ("given", "facts", "said"),
    [
        (labelled("Acropora"), known(), "w.pt: the card has 1 labels, the weights 2: Acropora, Porites"),
        (labelled("Porites", "Acropora"), known(), "another order; label ids follow: Acropora, Porites"),
        (card(), known(()), "neither the card nor the weights name any labels"),
        (card(), known(task="pose"), "the weights are for task 'pose', the card says 'segment'"),
        (
            card("pose", labels='[{name: frame, type: skeleton, sublabels: [{name: "1"}, {name: "2"}]}]'),
            known(("frame",), "pose", 4),
            "label 'frame' has 2 points, the weights have 4",
        ),
    ],
)
def test_a_card_that_contradicts_its_weights(given: Card, facts: Facts, said: str) -> None:
    with pytest.raises(WeightsError) as caught:
        labels_for(given, facts, "w.pt")
    assert said in str(caught.value)


@pytest.mark.parametrize("file", BOTH, ids=["onnx", "pt"])
def test_a_card_with_too_few_labels_does_not_load(file: Path) -> None:
    with pytest.raises(WeightsError, match="the card has 2 labels, the weights 16: Acropora, Porites, Pocillopora"):
        load(file, labels="[{name: a}, {name: b}]")


def test_names_must_be_whole() -> None:
    assert names_of({1: "b", 0: "a"}, "w") == ("a", "b")
    with pytest.raises(WeightsError, match="ids from 0 to 1"):
        names_of({0: "a", 2: "b"}, "w")
    with pytest.raises(WeightsError, match="numbers as keys"):
        names_of({"x": "a"}, "w")


def test_sizes_are_whole_strides() -> None:
    assert size_of(640, 32, "w") == (640, 640)
    assert size_of([400, 640], 32, "w") == (416, 640)
    for wrong in (0, "640", [1, 2, 3], [10**9]):
        with pytest.raises(WeightsError, match="imgsz"):
            size_of(wrong, 32, "w")


def test_what_the_runtime_cannot_serve() -> None:
    with pytest.raises(WeightsError, match="runtime 'yolo' has the tasks segment, detect, pose, not 'inpaint'"):
        create(card("inpaint"), {"model": ONNX})
    with pytest.raises(WeightsError, match="a file with the role 'model', got weights"):
        create(card(), {"weights": ONNX})
    with pytest.raises(WeightsError, match=r"model\.bin: expected a checkpoint \(\.pt, \.pth\), an ONNX file"):
        load(Path("model.bin"))
    with pytest.raises(WeightsError, match="for task 'segment', the card says 'pose'"):
        load(ONNX.with_suffix(".pt"), "pose")
    with pytest.raises(NotReady):
        create(card(), {"model": ONNX}).preprocess([])


def test_a_checkpoint_under_torchs_other_ending_is_served_and_scanned(tmp_path: Path) -> None:
    renamed = Path(shutil.copy(ONNX.with_suffix(".pt"), tmp_path / "model_weights.pth"))
    assert load(renamed).labels == load(ONNX.with_suffix(".pt")).labels
    torch.save({"model": Evil(tmp_path / "was-run")}, tmp_path / "evil.pth")
    with pytest.raises(UntrustedWeights, match="which no YOLO checkpoint needs"):
        load(tmp_path / "evil.pth")
    assert not (tmp_path / "was-run").exists()


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("file", BOTH, ids=["onnx", "pt"])
def test_a_device_that_is_not_there(file: Path) -> None:
    if torch.cuda.is_available() or "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has such a device")
    with pytest.raises(WeightsError, match="the card demands device 'cuda'"):
        load(file, device="cuda")
    assert load(file, device="auto").labels[:2] == GENERA


def graph(tmp_path: Path, outputs: int = 1, channels: int = 7) -> Path:
    """An ONNX file that answers with random numbers of no use."""
    image = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, 32, 32])
    nodes = [onnx.helper.make_node("RandomNormal", [], [f"o{i}"], shape=[1, channels, 20]) for i in range(outputs)]
    infos = [
        onnx.helper.make_tensor_value_info(f"o{i}", onnx.TensorProto.FLOAT, [1, channels, 20]) for i in range(outputs)
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "g", [image], infos),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(model, tmp_path / "foreign.onnx")
    return tmp_path / "foreign.onnx"


def test_an_onnx_file_without_metadata_takes_its_labels_from_the_card(tmp_path: Path) -> None:
    file = graph(tmp_path)
    with pytest.raises(WeightsError, match="neither the card nor the weights name any labels"):
        load(file, "detect")
    model = load(file, "detect", labels="[{name: a}, {name: b}, {name: c}]")
    assert len(ask(model, [np.zeros((50, 40, 3), np.uint8)], conf=0.999)) == 1


def test_an_answer_of_another_network_is_refused(tmp_path: Path) -> None:
    model = load(graph(tmp_path), "detect", labels="[{name: a}, {name: b}]")
    with pytest.raises(WeightsError, match=r"answer \[1, 7, 20\].*not that of a 'detect' model with 2 labels"):
        ask(model, [np.zeros((50, 40, 3), np.uint8)])
    with pytest.raises(WeightsError, match="not the outputs of a 'segment' model"):
        load(graph(tmp_path), "segment")


def test_a_damaged_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(ONNX.read_bytes()[:10_000])
    with pytest.raises(WeightsError, match=r"cut\.onnx: onnxruntime cannot load it"):
        load(tmp_path / "cut.onnx")


@pytest.mark.parametrize("file", BOTH, ids=["onnx", "pt"])
def test_warm_up_goes_through_every_step(file: Path) -> None:
    model = load(file)
    items = model.warm_up_items()
    (found,) = model.postprocess(model.predict(model.preprocess(items)), items)
    assert 0 < len(found) <= 4
    assert found.masks is not None


def test_memory_that_cannot_be_had_is_recognised(tmp_path: Path) -> None:
    """By the errors that torch and onnxruntime really raise."""
    model = create(card(), {"model": ONNX})
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(2**60, dtype=torch.uint8)
    assert model.is_out_of_memory(of_torch.value)
    assert model.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"))
    shape = onnx.numpy_helper.from_array(np.array([2**55], np.int64), "shape")
    ones = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    large = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None])
    node = onnx.helper.make_node("Expand", ["x", "shape"], ["y"])
    big = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", [ones], [large], [shape]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=9,
    )
    session = onnxruntime.InferenceSession(big.SerializeToString(), providers=["CPUExecutionProvider"])
    with pytest.raises(Exception) as of_onnxruntime:
        session.run(None, {"x": np.ones(1, np.float32)})
    assert model.is_out_of_memory(of_onnxruntime.value)
    assert not model.is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not model.is_out_of_memory(ValueError("out of memory"))


def test_threads_are_those_the_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr("predictors.common.cpus._CGROUP", tmp_path)
    assert network_threads(parse_card("name: a\nruntime: yolo\ntask: detect\nweights: {uri: x}")) == 4
    for limit, threads in (("8", 8), ("1500m", 1), ("100m", 1), ("1000", 64)):
        assert network_threads(card(resources=f"{{limits: {{cpu: '{limit}'}}}}")) == threads
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert network_threads(card(resources="{limits: {cpu: 8}}")) == 2


def test_a_containers_share_of_processors(tmp_path: Path) -> None:
    assert _quota(tmp_path) is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert _quota(tmp_path) is None
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("50000\n")
    assert _quota(tmp_path) == 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert _quota(tmp_path) is None


def test_half_precision_files_are_fed_what_they_take(tmp_path: Path) -> None:
    half = onnx.TensorProto.FLOAT16
    image = onnx.helper.make_tensor_value_info("images", half, [1, 3, 32, 32])
    answer = onnx.helper.make_tensor_value_info("answer", half, [1, 5, 4])
    value = onnx.numpy_helper.from_array(np.full((1, 5, 4), 0.5, np.float16), "value")
    nodes = [
        onnx.helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        onnx.helper.make_node("Mul", ["mean", "value"], ["answer"]),
    ]
    file = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "g", [image], [answer], [value]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(file, tmp_path / "half.onnx")
    engine = OnnxEngine(tmp_path / "half.onnx", card("detect"))
    raw = engine.run(np.ones((1, 3, 32, 32), np.float32))
    assert raw.predictions.dtype == np.float32
    np.testing.assert_allclose(raw.predictions, 0.5)


def test_settings_are_each_images_own() -> None:
    model = load(ONNX)
    image = np.random.default_rng(0).integers(0, 256, (384, 384, 3), np.uint8)
    items = [
        Item(image, {"conf_threshold": conf, "iou_threshold": 0.9, "max_detections": most}, EVERYTHING)
        for conf, most in ((0.0, 7), (0.0, 3), (1.0, 300))
    ]
    found = model.postprocess(model.predict(model.preprocess(items)), items)
    assert [len(one) for one in found] == [7, 3, 0]
