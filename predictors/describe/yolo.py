"""What ultralytics' files say of themselves: checkpoints, ONNX files, TensorRT engines."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from predictors.common.errors import WeightsError
from predictors.describe.found import Yolo
from predictors.describe.inert import Checkpoint, Inert
from predictors.yolo.checkpoint.scan import scan_pickle
from predictors.yolo.engine_header import read_header
from predictors.yolo.facts import names_of, size_of

# Heads by class: of those that Kelp serves the task, of the others what ultralytics calls it.
_TASKS = {
    "Detect": "detect", "v10Detect": "detect", "Segment": "segment", "Segment26": "segment", "Pose": "pose",
    "Pose26": "pose",
}  # fmt: skip
_SERVED = ("segment", "detect", "pose")


def from_checkpoint(file: Path, checkpoint: Checkpoint) -> Yolo:
    """Of a `.pt`. WeightsError for a task that is not served; UntrustedWeights for a file that would not be loaded."""
    content = checkpoint.content
    network = content.get("ema") or content.get("model")
    assert isinstance(network, Inert)
    layers = network.child("model")
    modules = layers.field("_modules") if isinstance(layers, Inert) else None
    head = list(modules.values())[-1] if isinstance(modules, dict) and modules else None
    if not isinstance(head, Inert):
        raise WeightsError(f"{file.name}: a model of ultralytics without layers")
    kind = head.name.rpartition(".")[2]
    if kind not in _TASKS:
        raise WeightsError(
            f"{file.name}: a '{kind}' of ultralytics ({network.name.rpartition('.')[2]}); Kelp serves those that "
            "segment, detect and find poses"
        )
    for name, pickled in checkpoint.pickles.items():
        scan_pickle(pickled, f"{file.name}: {name}")
    arguments = content.get("train_args")
    imgsz = arguments.get("imgsz", 640) if isinstance(arguments, Mapping) else 640
    return Yolo(
        file,
        _TASKS[kind],
        names_of(network.field("names"), file.name),
        size_of(imgsz, 1, file.name),
        _keypoints(head.field("kpt_shape"), file),
    )


def from_onnx(file: Path) -> Any:
    """Of an `.onnx` of ultralytics, or the inputs' names of an inpainter's. WeightsError where it is neither."""
    try:
        from predictors.common.onnx import open_session
    except ImportError:
        raise WeightsError(
            f"{file.name}: reading an ONNX file needs onnxruntime: the extra yolo-onnx brings it",
            code="runtime_not_installed",
        ) from None
    from kelp.card import Card, Weights

    session = open_session(
        file, Card(name="unknown", runtime="yolo", task="detect", weights=Weights(uri=str(file)), device="cpu")
    )
    inputs = session.get_inputs()
    if {value.name for value in inputs} == {"image", "mask"}:
        return ["image", "mask"]
    metadata = session.get_modelmeta().custom_metadata_map
    if len(inputs) != 1 or "task" not in metadata or "names" not in metadata:
        taken = ", ".join(f"{value.name} {value.shape}" for value in inputs)
        raise WeightsError(
            f"{file.name}: an ONNX file that does not say what it is (inputs: {taken}): expected one that ultralytics "
            "or `kelp export` has written, or an inpainter with the inputs image and mask"
        )
    sides = [side for side in inputs[0].shape[2:] if isinstance(side, int) and side > 0]
    return _of_metadata(file, {**metadata, **({"imgsz": sides} if len(sides) == 2 else {})})


def from_engine(file: Path) -> Yolo:
    """Of a TensorRT `.engine`, whose header ultralytics writes; TensorRT is not needed."""
    _, metadata = read_header(file)
    return _of_metadata(file, metadata)


def _of_metadata(file: Path, metadata: Mapping[str, Any]) -> Yolo:
    task = str(metadata.get("task"))
    if task not in _SERVED:
        raise WeightsError(f"{file.name}: made for the task '{task}'; Kelp serves {', '.join(_SERVED)}")
    names = names_of(_literal(metadata.get("names"), "names", file), file.name)
    return Yolo(
        file,
        task,
        names,
        size_of(_literal(metadata.get("imgsz", 640), "imgsz", file), 1, file.name),
        _keypoints(_literal(metadata.get("kpt_shape"), "kpt_shape", file), file),
    )


def _literal(value: Any, key: str, file: Path) -> Any:
    """ONNX holds Python literals as text, an engine's header holds them as they are."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise WeightsError(f"{file.name}: metadata '{key}': expected a Python literal") from None


def _keypoints(given: Any, file: Path) -> int | None:
    if given is None:
        return None
    if not (isinstance(given, (list, tuple)) and len(given) == 2 and all(isinstance(n, int) and n > 0 for n in given)):
        raise WeightsError(f"{file.name}: kpt_shape: expected points and values of each, got {given!r}")
    return int(given[0])
