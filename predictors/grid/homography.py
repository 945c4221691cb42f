"""Plane homographies between a template and a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]
_MOST_TRIES = 2000
_CONFIDENCE = 0.999


def fit(template: Points, found: Points, tolerance_px: float) -> Matrix | None:
    """The homography [3, 3] that takes most of template [P, 2] to found [P, 2] within about `tolerance_px`.

    Robust by MAGSAC++ (Barath et al., CVPR 2020; OpenCV's USAC_MAGSAC), the same for the same input. None where fewer
    than 4 pairs are given, or none of them agree.
    """
    if len(template) < 4:
        return None
    if len(template) == 4:
        matrix, _ = cv2.findHomography(template, found, 0)
    else:
        matrix, _ = cv2.findHomography(
            template, found, cv2.USAC_MAGSAC, tolerance_px, maxIters=_MOST_TRIES, confidence=_CONFIDENCE
        )
    if matrix is None or not np.isfinite(matrix).all():
        return None
    return np.asarray(matrix, np.float64)


def refine(template: Points, found: Points) -> Matrix | None:
    """The least-squares homography of pairs that are known to belong together (at least 4); None if degenerate."""
    matrix, _ = cv2.findHomography(template, found, 0)
    return None if matrix is None or not np.isfinite(matrix).all() else np.asarray(matrix, np.float64)


def warp(matrix: Matrix, points: Points) -> Points:
    """points [P, 2] through the homography: float64 [P, 2]. What lies on the horizon comes back as NaN."""
    raised = points @ matrix[:, :2].T + matrix[:, 2]
    depth = raised[:, 2:]
    return np.asarray(np.divide(raised[:, :2], depth, out=np.full_like(raised[:, :2], np.nan), where=depth != 0))


def jacobian(matrix: Matrix, at: Points) -> Matrix:
    """How the plane is turned and stretched about a template point `at` [2]: float64 [2, 2]."""
    u, v, w = matrix @ np.array([at[0], at[1], 1.0])
    top = matrix[:2, :2] * w - np.outer([u, v], matrix[2, :2])
    return np.asarray(top / (w * w))


def keeps_side(matrix: Matrix, points: Points) -> bool:
    """Whether all points [P, 2] lie on one side of the horizon, as those of anything photographed do."""
    depth = points @ matrix[2, :2] + matrix[2, 2]
    return bool((depth > 0).all() or (depth < 0).all())
