"""YOLO's steps around the network, against ultralytics' own on the same pictures and the same raw answers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.row import Row, interleaved, ratio_of_medians
from demo.reef import DEMO_SEEDS, render
from kelp.card import parse_card
from predictors.model import Item
from predictors.yolo import create
from predictors.yolo.suppress import suppress

WEIGHTS = Path(__file__).parents[2] / "demo" / "weights" / "pth-yolo-coralsegv4.pt"
ROUNDS = 25
SETTINGS = {"conf_threshold": 0.05, "iou_threshold": 0.5, "max_detections": 300}


def run() -> list[Row]:
    """Three rows: preprocessing, postprocessing with masks at full size, suppression of 8400 candidates."""
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="kelp-bench-"))
    model = create(parse_card("{name: bench, runtime: yolo, task: segment, weights: {uri: x}}"), {"model": WEIGHTS})
    model.load()
    import torch
    from ultralytics import YOLO

    image = render(DEMO_SEEDS[0], 1920).image
    bgr = np.ascontiguousarray(image[..., ::-1])
    items = [Item(image, SETTINGS, frozenset({"mask_rle"}))]
    batch = model.preprocess(items)
    raw = model.predict(batch)
    yolo = YOLO(WEIGHTS)
    yolo.predict(bgr, conf=0.05, iou=0.5, retina_masks=True, verbose=False)
    predictor = yolo.predictor
    answer = torch.from_numpy(raw[0].prediction[None]), torch.from_numpy(raw[0].protos[None])
    tensor = torch.from_numpy(batch[0].images)

    def postprocess() -> Any:
        # It writes into the answer it is given.
        return predictor.postprocess((tuple(part.clone() for part in answer), None), tensor, [bgr])

    found = len(model.postprocess(raw, items)[0])
    boxes, scores, labels = _candidates()
    moved = torch.from_numpy(boxes + labels[:, None].astype(np.float32) * np.float32(7680))
    import torchvision

    pairs: tuple[tuple[str, str, Callable[[], Any], Callable[[], Any]], ...] = (
        ("preprocessing of a 1920² picture", "", lambda: model.preprocess(items), lambda: predictor.preprocess([bgr])),
        (
            f"postprocessing of {found} instances to masks at 1920²",
            "theirs makes full-size masks, ours spans, from which polygons and run lengths are made",
            lambda: model.postprocess(raw, items),
            postprocess,
        ),
        (
            "suppression of 8400 candidates, 300 kept",
            "",
            lambda: suppress(boxes, scores, labels, 0.5, 300),
            lambda: torchvision.ops.nms(moved, torch.from_numpy(scores), 0.5)[:300],
        ),
    )
    return [_row(name, note, ours, theirs) for name, note, ours, theirs in pairs]


def _row(name: str, note: str, ours: Callable[[], Any], theirs: Callable[[], Any]) -> Row:
    mine, their = interleaved(ours, theirs, ROUNDS)
    return Row(
        group="yolo",
        name=name,
        value=ratio_of_medians(mine, their),
        target=1.0,
        higher_is_better=False,
        unit="s",
        ours=mine,
        theirs=their,
        against="ultralytics" if "suppression" not in name else "torchvision",
        note=note,
    )


def _candidates() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    """Heaps of about eight boxes each, all over the picture, of 16 labels."""
    random = np.random.default_rng(0)
    heap = random.integers(0, 1050, 8400)
    centre = random.uniform(0, 640, (1050, 2))[heap] + random.normal(0, 4, (8400, 2))
    half = random.uniform(10, 60, (1050, 2))[heap] * random.uniform(0.9, 1.1, (8400, 2))
    boxes = np.concatenate((centre - half, centre + half), 1).astype(np.float32)
    return boxes, random.random(8400, np.float32), random.integers(0, 16, 8400).astype(np.int32)
