"""Boxes. Kelp's are half-open: x1 y1 x2 y2 on pixel edges, x2 and y2 exclusive, so that width = x2 - x1.

CVAT's masks end with left, top, right, bottom INCLUSIVE: the two functions here are the only place that turns one into
the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LAST_PIXEL = np.array((0, 0, 1, 1), np.int32)


def to_inclusive(box: ArrayLike) -> NDArray[np.int32]:
    """Half-open integer boxes [..., 4] as CVAT's left, top, right, bottom inclusive, int32 [..., 4]."""
    return np.asarray(box, np.int32) - _LAST_PIXEL


def from_inclusive(box: ArrayLike) -> NDArray[np.int32]:
    """CVAT's left, top, right, bottom inclusive [..., 4] as half-open boxes, int32 [..., 4]."""
    return np.asarray(box, np.int32) + _LAST_PIXEL


def clip_boxes(boxes: NDArray[Any], size_hw: tuple[int, int]) -> NDArray[Any]:
    """Boxes [..., 4] moved into an image of (height, width); the same dtype."""
    height, width = size_hw
    limit = np.array((width, height, width, height), boxes.dtype)
    clipped: NDArray[Any] = np.clip(boxes, 0, limit)
    return clipped


def pixel_boxes(boxes: ArrayLike, size_hw: tuple[int, int]) -> NDArray[np.int32]:
    """The pixels of an image that belong to float boxes [..., 4], as half-open integer boxes, int32 [..., 4].

    A pixel belongs to a box if its left upper corner does: x1 <= x < x2, the rule of ultralytics' `crop_mask`.
    A box without pixels comes back with x2 = x1 or y2 = y1. Raises ValueError for numbers that are not finite.
    """
    given = np.asarray(boxes, np.float64)
    if not np.isfinite(given).all():
        raise ValueError("boxes: expected finite numbers")
    cut = clip_boxes(np.ceil(given), size_hw).astype(np.int32)
    cut[..., 2:] = np.maximum(cut[..., 2:], cut[..., :2])
    return cut


def box_iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of every box of [N, 4] with every one of [M, 4], float64 [N, M]; 0 for empty boxes."""
    a = np.asarray(first, np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common: NDArray[np.float64] = np.maximum(sides, 0).prod(-1)
    either = box_area(a) + box_area(b) - common
    return np.divide(common, either, out=np.zeros_like(common), where=either > 0)


def box_area(boxes: ArrayLike) -> NDArray[np.float64]:
    """Areas of half-open boxes [..., 4] in square pixels, float64 [...]; 0 for inverted ones."""
    given = np.asarray(boxes, np.float64)
    area: NDArray[np.float64] = np.maximum(given[..., 2:] - given[..., :2], 0).prod(-1)
    return area
