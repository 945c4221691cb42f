"""Non-maximum suppression, with the arithmetic of torchvision's `nms` as ultralytics calls it."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from predictors.yolo.engine import Floats

# ultralytics: boxes of different labels are moved apart by so many pixels a label.
LABEL_OFFSET = np.float32(7680)
MOST_CANDIDATES = 30_000
# Candidates looked at together: few enough for a table of all pairs to stay in the processor's own memory.
_BLOCK = 256


def suppress(
    boxes: Floats, scores: Floats, label_id: NDArray[np.int32], iou_threshold: float, most: int
) -> NDArray[np.int64]:
    """The boxes to keep, best first, at most `most`, int64 [k].

    boxes: float32 [n, 4] x1 y1 x2 y2; scores: float32 [n]; label_id: int32 [n]. A box goes if it overlaps a better one
    of its own label by more than `iou_threshold`. Equal scores keep their order.
    """
    order = np.argsort(-scores, kind="stable")[:MOST_CANDIDATES]
    # In float32, boxes of far labels lose their last digits: so they do in ultralytics.
    moved = boxes[order] + (label_id[order].astype(np.float32) * LABEL_OFFSET)[:, None]
    limit = np.float64(iou_threshold)
    kept = np.empty(0, np.int64)
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        if len(kept):
            block = block[~(_overlaps(moved[kept], moved[block]) > limit).any(0)]
        kept = np.concatenate((kept, block[_greedy(_overlaps(moved[block], moved[block]) > limit)]))
        if len(kept) >= most:
            break
    return order[kept[:most]]


def _greedy(too_close: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of rows in order of their score those that are not too close to a better one that stays, bool [n]."""
    stays = np.ones(len(too_close), np.bool_)
    worse = np.triu(too_close, 1)
    for row in np.flatnonzero(worse.any(1)):
        if stays[row]:
            stays &= ~worse[row]
    return stays


def _overlaps(first: Floats, second: Floats) -> Floats:
    """Intersection over union of every box of [n, 4] with every one of [m, 4], float32 [n, m]."""
    ax1, ay1, ax2, ay2 = first.T[:, :, None]
    bx1, by1, bx2, by2 = second.T
    width = np.minimum(ax2, bx2) - np.maximum(ax1, bx1)
    height = np.minimum(ay2, by2) - np.maximum(ay1, by1)
    common: Floats = np.maximum(width, 0, out=width)
    common *= np.maximum(height, 0, out=height)
    either = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1)
    either -= common
    # Two boxes without an area overlap by nothing.
    return cast(Floats, np.divide(common, either, out=np.zeros_like(common), where=either > 0))
