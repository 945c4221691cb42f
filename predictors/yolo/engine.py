"""The three ways to run a network, alike to everybody else: a batch of float images in, raw answers out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kelp.card import Card
from predictors.common.errors import WeightsError
from predictors.yolo.facts import Facts

Floats = NDArray[np.float32]
CHECKPOINTS = frozenset({".pt", ".pth"})
"""Endings of torch's files; what is in them is read and scanned alike under each."""


class Raw(NamedTuple):
    """What the network says of n images.

    predictions: float32 [n, 4 + labels + extra, anchors], boxes as centre and size in pixels of the input, then a
    score a label, then mask coefficients or keypoints; or, where the answers are finished, [n, rows, 6 + extra], boxes
    as x1 y1 x2 y2, then score and label
    protos: float32 [n, P, h, w], mask prototypes of a segmenter
    """

    predictions: Floats
    protos: Floats | None


class Engine(Protocol):
    """A loaded network."""

    @property
    def facts(self) -> Facts: ...

    def run(self, images: Floats) -> Raw:
        """`images`: float32 [n, 3, height, width], RGB from 0 to 1."""
        ...

    def free_cached_memory(self) -> None:
        """Give memory back that the device keeps for later."""
        ...


def open_engine(file: Path, card: Card) -> Engine:
    """The engine for a file, by its ending; only the one that is needed is imported. WeightsError for another file."""
    if file.suffix in CHECKPOINTS:
        from predictors.yolo.torch_engine import TorchEngine

        return TorchEngine(file, card)
    if file.suffix == ".onnx":
        from predictors.yolo.onnx_engine import OnnxEngine

        return OnnxEngine(file, card)
    if file.suffix == ".engine":
        from predictors.yolo.tensorrt_engine import TensorRtEngine

        return TensorRtEngine(file, card)
    raise WeightsError(
        f"{file.name}: expected a checkpoint (.pt, .pth), an ONNX file (.onnx) or a TensorRT engine (.engine)"
    )
