"""Masks of YOLO segmenters: each instance is a weighted sum of mask prototypes, cut to its box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kelp.geometry.boxes import pixel_boxes
from kelp.geometry.letterbox import Letterbox
from kelp.geometry.rescale import Grid, Taps, scan, taps
from kelp.geometry.spans import MaskSpans


def spans_of_protos(
    coefficients: NDArray[Any], protos: NDArray[Any], boxes: ArrayLike, letterbox: Letterbox
) -> MaskSpans:
    """Spans in the original image of D instances.

    coefficients: float [D, P]; protos: float [P, h, w], covering the model's whole input
    boxes: float half-open boxes [D, 4] in pixels of the original; nothing is set outside (see `pixel_boxes`)
    The arithmetic is that of ultralytics' `process_mask_native` (`retina_masks=True`): sum, cut the padding off,
    enlarge, set where above 0. Only the part of the grid under a box is summed.
    Raises ValueError where shapes disagree.
    """
    if protos.ndim != 3 or coefficients.shape[1:] != protos.shape[:1]:
        raise ValueError(
            f"protos: expected coefficients [D, P] and protos [P, h, w], got {list(coefficients.shape)} "
            f"and {list(protos.shape)}"
        )
    limits = pixel_boxes(np.asarray(boxes).reshape(-1, 4), letterbox.original_hw)
    if len(limits) != len(coefficients):
        raise ValueError(f"boxes: expected [{len(coefficients)}, 4], got {list(np.asarray(boxes).shape)}")
    weights = coefficients.astype(np.float32, copy=False)
    fields = protos.astype(np.float32, copy=False)
    window = letterbox.mask_window((protos.shape[1], protos.shape[2]))
    tall, wide = (taps(side, side * window.factor) for side in protos.shape[1:])

    def part(instance: int, rows: slice, columns: slice) -> Grid:
        rows = slice(rows.start + window.top, rows.stop + window.top)
        columns = slice(columns.start + window.left, columns.stop + window.left)
        if window.factor == 1:
            return _sum(weights[instance], fields[:, rows, columns])
        coarse_rows, coarse_columns = _cells(tall, rows), _cells(wide, columns)
        coarse = _sum(weights[instance], fields[:, coarse_rows, coarse_columns])
        finer = _blend(coarse, tall, rows, coarse_rows.start)
        return _blend(finer.T, wide, columns, coarse_columns.start).T

    grid_hw = (window.bottom - window.top, window.right - window.left)
    return scan(part, grid_hw, letterbox.original_hw, limits)


def _sum(weights: NDArray[np.float32], fields: NDArray[np.float32]) -> Grid:
    summed: Grid = (weights @ fields.reshape(len(weights), -1)).reshape(fields.shape[1:])
    return summed


def _cells(axis: Taps, pixels: slice) -> slice:
    return slice(int(axis.lower[pixels.start]), int(axis.upper[pixels.stop - 1]) + 1)


def _blend(grid: Grid, axis: Taps, pixels: slice, first: int) -> Grid:
    """Rows `pixels` of the enlarged grid, from its rows beginning with number `first`."""
    weight = axis.weight[pixels, None]
    blended: Grid = grid[axis.lower[pixels] - first] * (1 - weight) + grid[axis.upper[pixels] - first] * weight
    return blended
