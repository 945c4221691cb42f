"""How much masks have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kelp.geometry.spans import Indices, MaskSpans


def intersections(first: MaskSpans, second: MaskSpans) -> Indices:
    """Pixels that instance i of both has in common, int64 [D]. Raises ValueError where sizes or numbers differ."""
    if first.size_hw != second.size_hw or len(first) != len(second):
        raise ValueError(f"masks: expected {len(first)} of {first.size_hw}, got {len(second)} of {second.size_hw}")
    height, width = first.size_hw
    edges = []
    for spans in (first, second):
        line = (spans.instance * height + spans.y) * (width + 1)
        own = np.empty(2 * len(line), np.int64)
        own[0::2], own[1::2] = line + spans.x1, line + spans.x2
        edges.append(own)
    keys = np.concatenate(edges)
    order = np.argsort(keys, kind="stable")
    # Both lists have a start at every even place, so parity tells starts from ends.
    depth = np.cumsum(1 - 2 * (order % 2))
    common = np.flatnonzero(depth == 2)
    keys = keys[order]
    owner = keys[common] // ((width + 1) * max(height, 1))
    return np.bincount(owner, keys[common + 1] - keys[common], len(first)).astype(np.int64)


def mask_iou(first: MaskSpans, second: MaskSpans) -> NDArray[np.float64]:
    """Intersection over union of instance i of both, float64 [D]; 0 where both are empty."""
    common = intersections(first, second).astype(np.float64)
    either = first.area() + second.area() - common
    return np.divide(common, either, out=np.zeros_like(common), where=either > 0)


def mask_iou_matrix(first: MaskSpans, second: MaskSpans) -> NDArray[np.float64]:
    """Intersection over union of every instance of `first` with every one of `second`, float64 [N, M].

    Only pairs whose bounds overlap are compared pixel by pixel.
    """
    a, b = first.bounds()[:, None], second.bounds()[None]
    overlap = ((a[..., :2] < b[..., 2:]) & (b[..., :2] < a[..., 2:])).all(-1)
    i, j = np.nonzero(overlap)
    result = np.zeros((len(first), len(second)))
    result[i, j] = mask_iou(first.take(i), second.take(j))
    return result
