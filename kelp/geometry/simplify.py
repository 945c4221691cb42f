"""Fewer points for contours, within a tolerance, without ever crossing."""

from __future__ import annotations

import numpy as np

from kelp.geometry.crossings import are_simple
from kelp.geometry.polygons import Polygons
from kelp.geometry.spans import Indices, offsets_of

_TRIES = 4
_LEAST_AREA = 1.0


def simplify(contours: Polygons, tolerance_px: float) -> Polygons:
    """Douglas-Peucker on each contour: dropped points lie within `tolerance_px` of what remains.

    It is OpenCV's, whose last pass over nearly straight corners may add 0.71 times as much in places.
    Where the result would cross or touch itself, or keep fewer than 3 points or 1 px², that contour is tried again
    with half the tolerance, and in the end stays as it is. The given contours are simple; so are the returned ones.
    The points keep their dtype (int32 or float32). Raises ValueError for a negative tolerance.
    """
    if not tolerance_px >= 0:
        raise ValueError(f"simplify_px: expected 0 or more, got {tolerance_px}")
    if tolerance_px == 0 or not len(contours.points):
        return contours
    # Processes that only move results about never need OpenCV, and start sooner without it.
    import cv2

    parts = np.split(contours.points, contours.offsets[1:-1])
    todo: Indices = np.flatnonzero(np.diff(contours.offsets) > 4)
    for _ in range(_TRIES):
        if not len(todo):
            break
        tried = [cv2.approxPolyDP(contours[row], tolerance_px, True).reshape(-1, 2) for row in todo.tolist()]
        result = Polygons(offsets_of(np.array([len(points) for points in tried])), np.concatenate(tried))
        good = are_simple(result) & (np.abs(result.area()) >= _LEAST_AREA)
        for row in np.flatnonzero(good).tolist():
            parts[todo[row]] = tried[row]
        todo = todo[~good]
        tolerance_px /= 2
    counts = np.array([len(part) for part in parts], np.int64)
    return Polygons(offsets_of(counts), np.concatenate(parts))
