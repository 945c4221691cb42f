"""How well a frame was annotated, against what is true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef import GENUS_NAMES, Scene


@dataclass(frozen=True)
class FrameScore:
    """iou: pixels of the right genus over pixels that either side calls coral, 0..1; shapes, colonies: counts."""

    iou: float
    shapes: int
    colonies: int


def score_frame(shapes: Iterable[Mapping[str, Any]], genus_by_label: Mapping[int, str], scene: Scene) -> FrameScore:
    """The shapes that CVAT holds on one frame, against the scene that was photographed."""
    shapes = list(shapes)
    truth = genera_of(scene)
    found = draw_genera(shapes, genus_by_label, truth.shape)
    either = int(np.count_nonzero((truth > 0) | (found > 0)))
    right = int(np.count_nonzero((truth == found) & (truth > 0)))
    return FrameScore(right / either if either else 1.0, len(shapes), len(scene))


def genera_of(scene: Scene) -> NDArray[np.uint8]:
    """uint8 [H, W]: 0 where there is no coral, else 1 + the genus's number."""
    return np.concatenate(([0], scene.genus_ids + 1)).astype(np.uint8)[scene.instances]


def draw_genera(
    shapes: Iterable[Mapping[str, Any]], genus_by_label: Mapping[int, str], size_hw: tuple[int, ...]
) -> NDArray[np.uint8]:
    """The same picture from CVAT's polygons, polylines and masks; large shapes first, so that small ones stay seen."""
    canvas = np.zeros(size_hw[:2], np.uint8)
    drawn = [(shape, shape_pixels(shape, size_hw)) for shape in shapes]
    for shape, pixels in sorted(drawn, key=lambda item: -int(np.count_nonzero(item[1]))):
        canvas[pixels] = 1 + GENUS_NAMES.index(genus_by_label[shape["label_id"]])
    return canvas


def shape_pixels(shape: Mapping[str, Any], size_hw: tuple[int, ...]) -> NDArray[np.bool_]:
    """bool [H, W]: the pixels inside a shape as CVAT stores it. ValueError for a kind the demo does not write."""
    canvas = np.zeros(size_hw[:2], np.uint8)
    points = np.asarray(shape["points"], np.float64)
    if shape["type"] in {"polygon", "polyline"}:
        # Contours run along pixel edges: half a pixel back are the centres that OpenCV fills.
        cv2.fillPoly(canvas, [np.round((points.reshape(-1, 2) - 0.5) * 16).astype(np.int32)], 1, shift=4)
    elif shape["type"] == "mask":
        runs, (left, top, right, bottom) = points[:-4].astype(int), points[-4:].astype(int)
        flat = np.repeat(np.arange(len(runs)) & 1, runs)
        canvas[top : bottom + 1, left : right + 1] = flat.reshape(bottom - top + 1, right - left + 1)
    else:
        raise ValueError(f"shapes of type {shape['type']} have no area here")
    return canvas.astype(bool)
