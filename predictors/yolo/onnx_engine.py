"""ONNX files by onnxruntime: neither torch nor ultralytics is needed, nor imported."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np

from kelp.card import Card
from predictors.common.errors import WeightsError
from predictors.common.onnx import open_session
from predictors.yolo.engine import Floats, Raw
from predictors.yolo.facts import SMALLEST_STRIDE, Facts, names_of, size_of

_FLOAT_TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxEngine:
    """An ONNX file as ultralytics exports it; its metadata tell of labels, size and task."""

    def __init__(self, file: Path, card: Card) -> None:
        """WeightsError if the file cannot be used, or the card demands a device that is not there."""
        self._session = open_session(file, card)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _FLOAT_TYPES:
            found = ", ".join(f"{value.name} {value.type} {value.shape}" for value in inputs)
            raise WeightsError(f"{file.name}: expected one input of floats [n, 3, height, width], got {found}")
        if len(outputs) != (2 if card.task == "segment" else 1):
            found = ", ".join(f"{value.name} {value.shape}" for value in outputs)
            raise WeightsError(f"{file.name}: not the outputs of a '{card.task}' model: {found}")
        self._input = inputs[0].name
        self._type = _FLOAT_TYPES[inputs[0].type]
        self.facts = _facts(self._session.get_modelmeta().custom_metadata_map, inputs[0].shape, file.name)

    def run(self, images: Floats) -> Raw:
        size = self.facts.batch or len(images)
        parts = [self._run(images[start : start + size], size) for start in range(0, len(images), size)]
        if len(parts) == 1:
            return parts[0]
        predictions = np.concatenate([part.predictions for part in parts])
        protos = [part.protos for part in parts if part.protos is not None]
        return Raw(predictions, np.concatenate(protos) if protos else None)

    def free_cached_memory(self) -> None:
        """Nothing to do: onnxruntime keeps its arena for as long as the session lives."""

    def _run(self, images: Floats, size: int) -> Raw:
        count = len(images)
        if count < size:
            padded = np.zeros((size, *images.shape[1:]), np.float32)
            padded[:count] = images
            images = padded
        answers = self._session.run(None, {self._input: images.astype(self._type, copy=False)})
        first, *rest = (answer[:count].astype(np.float32, copy=False) for answer in answers)
        return Raw(first, rest[0] if rest else None)


def _facts(metadata: dict[str, str], shape: list[Any], file: str) -> Facts:
    """Facts from ultralytics' metadata (Python literals as text) and the input's shape."""

    def read(key: str, default: Any) -> Any:
        try:
            return ast.literal_eval(metadata[key]) if key in metadata else default
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise WeightsError(f"{file}: metadata '{key}': expected a Python literal") from None

    stride = max(int(read("stride", SMALLEST_STRIDE)), SMALLEST_STRIDE)
    batch, _, *sides = (side if isinstance(side, int) and side > 0 else None for side in shape)
    any_size = None in sides
    imgsz = read("imgsz", 640) if any_size else sides
    keypoints = read("kpt_shape", None)
    arguments = read("args", {})
    return Facts(
        task=metadata.get("task"),
        names=names_of(read("names", {}), file),
        input_hw=size_of(imgsz, stride if any_size else 1, file),
        stride=stride,
        any_size=any_size,
        batch=batch,
        keypoint_shape=(int(keypoints[0]), int(keypoints[1])) if keypoints else None,
        finished=bool(read("end2end", False) or (isinstance(arguments, dict) and arguments.get("nms"))),
    )
