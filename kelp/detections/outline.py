"""The outlines of detections as numbers that CVAT takes, clipped to each image.

Whole columns are clipped and rounded at once: a job of thousands of shapes is written from slices of one list.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.detections.columns import Detections

# CVAT stores floats; a hundredth of a pixel is below what anybody can place by hand.
DECIMALS = 2
VISIBLE = 0.5


class Outlines:
    """Boxes, contours, masks and keypoints of `detections`, ready for JSON: plain floats and ints."""

    def __init__(self, detections: Detections) -> None:
        self._detections = detections

    def box(self, row: int) -> list[float]:
        """x1 y1 x2 y2, clipped to the image; empty where nothing of the box is inside."""
        box: list[float] = self._boxes[row]
        return box if box[2] > box[0] and box[3] > box[1] else []

    def contour(self, row: int, *, closed: bool = False) -> list[float]:
        """x y x y … of the outer contour, the box where it has none; `closed` repeats the first point at the end."""
        points = self._contour(row)
        return points + points[:2] if closed else points

    def mask(self, row: int) -> list[int]:
        """CVAT's run lengths and inclusive box; a full box where the model has no masks; empty for an empty mask."""
        if self._detections.mask_rle is not None:
            runs: list[int] = self._detections.cvat_mask(row).tolist()
            return runs
        x1, y1, x2, y2 = (round(value) for value in self._boxes[row])
        return [0, (x2 - x1) * (y2 - y1), x1, y1, x2 - 1, y2 - 1] if x2 > x1 and y2 > y1 else []

    def keypoints(self, row: int) -> tuple[list[list[float]], list[bool]]:
        """K points [x, y], clipped to the image, and for each whether it is seen (visibility ≥ 0.5)."""
        places, seen = self._keypoints
        return places[row], seen[row]

    def _contour(self, row: int) -> list[float]:
        if self._detections.polygon_offsets is not None:
            flat, starts = self._contours
            if starts[row + 1] - starts[row] >= 3:
                return flat[2 * starts[row] : 2 * starts[row + 1]]
        if not (box := self.box(row)):
            return []
        x1, y1, x2, y2 = box
        return [x1, y1, x2, y1, x2, y2, x1, y2]

    @cached_property
    def _limits(self) -> NDArray[np.float64]:
        """float64 [D, 2]: width and height of each row's image."""
        return self._detections.image_size[self._detections.image_index][:, ::-1].astype(np.float64)

    @cached_property
    def _boxes(self) -> list[list[float]]:
        boxes = self._detections.box.astype(np.float64).reshape(-1, 2, 2)
        rounded: list[list[float]] = _rounded(boxes, self._limits[:, None]).reshape(-1, 4).tolist()
        return rounded

    @cached_property
    def _contours(self) -> tuple[list[float], list[int]]:
        starts, points = self._detections.polygon_offsets, self._detections.polygon_points
        if starts is None or points is None:
            raise ValueError("polygon_points were not asked for")
        limits = np.repeat(self._limits, np.diff(starts), axis=0)
        return _rounded(points.astype(np.float64), limits).ravel().tolist(), starts.tolist()

    @cached_property
    def _keypoints(self) -> tuple[Any, Any]:
        keypoints = self._detections.keypoints
        if keypoints is None:
            raise ValueError("keypoints were not asked for")
        places = _rounded(keypoints[:, :, :2].astype(np.float64), self._limits[:, None])
        return places.tolist(), (keypoints[:, :, 2] >= VISIBLE).tolist()


def _rounded(points: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    inside: NDArray[np.float64] = np.clip(points, 0.0, limits)
    return np.round(inside, DECIMALS)
