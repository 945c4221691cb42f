"""YOLO of ultralytics: segment, detect and pose, by torch (`.pt`, `.pth`), onnxruntime (`.onnx`) or TensorRT
(`.engine`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kelp.card import Card
from predictors.model import Model


def create(card: Card, files: Mapping[str, Path]) -> Model:
    """The model of a card of runtime `yolo`; `files["model"]` is its checkpoint or ONNX file. Loads nothing yet."""
    from predictors.yolo.model import YoloModel

    return YoloModel(card, files)
