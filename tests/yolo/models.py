"""Loading models of the family, and asking them, as the serving does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kelp.card import Card, parse_card
from kelp.detections import Predictions
from predictors.model import Item
from predictors.yolo import create
from predictors.yolo.model import YoloModel

ROOT = Path(__file__).parents[2]
REEF = ROOT / "demo" / "weights"
TINY = ROOT / "tests" / "data" / "weights"
EVERYTHING = frozenset({"polygon_points", "mask_rle", "keypoints", "annotations"})


def card(task: str = "segment", **fields: object) -> Card:
    lines = ["name: test", "runtime: yolo", f"task: {task}", "weights: {uri: none}"]
    return parse_card("\n".join([*lines, *(f"{name}: {value}" for name, value in fields.items())]))


def load(file: Path, task: str = "segment", **fields: object) -> YoloModel:
    model = create(card(task, **fields), {"model": file})
    assert isinstance(model, YoloModel)
    model.load()
    return model


def ask(
    model: YoloModel,
    images: Sequence[NDArray[np.uint8]],
    *,
    conf: float = 0.25,
    iou: float = 0.5,
    most: int = 300,
    outputs: frozenset[str] = EVERYTHING,
) -> list[Predictions]:
    settings = {"conf_threshold": conf, "iou_threshold": iou, "max_detections": most}
    items = [Item(image, settings, outputs) for image in images]
    return model.postprocess(model.predict(model.preprocess(items)), items)
