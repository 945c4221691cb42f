"""Plane homographies between a template and a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]
_MOST_TRIES = 2000
_CONFIDENCE = 0.999
_FLATTEST, _LARGEST = 1e-3, 1e6


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
    """The least-squares homography of pairs that are known to belong together (at least 4); None if degenerate.

    The direct linear transform on normalised points (Hartley and Zisserman, 2004, 4.1 and 4.4), its rows divided by the
    depths of a first solution, which makes its residuals distances in the picture.
    """
    here, there = _normal(template), _normal(found)
    if here is None or there is None:
        return None
    (size, x0, y0), (scale, u0, v0) = here, there
    x, y = (template[:, 0] - x0) * size, (template[:, 1] - y0) * size
    u, v = (found[:, 0] - u0) * scale, (found[:, 1] - v0) * scale
    count = len(template)
    rows = np.zeros((2 * count, 9))
    above, below = rows[:count], rows[count:]
    above[:, 0] = below[:, 3] = x
    above[:, 1] = below[:, 4] = y
    above[:, 2] = below[:, 5] = 1
    above[:, 6], below[:, 6] = -u * x, -v * x
    above[:, 7], below[:, 7] = -u * y, -v * y
    above[:, 8], below[:, 8] = u, v
    numbers = _solved(rows)
    if numbers is None:
        return None
    depth = numbers[6] * x + numbers[7] * y + 1
    if depth.min() <= 1e-3:
        return None
    above /= depth[:, None]
    below /= depth[:, None]
    numbers = _solved(rows)
    if numbers is None:
        return None
    a, b, c, d, e, f, g, h = numbers.tolist()
    # Points on one line leave a plane without width: it explains nothing.
    if abs(a * e - b * d) < _FLATTEST * (a * a + b * b + d * d + e * e):
        return None
    inner = np.array([[a, b, c], [d, e, f], [g, h, 1.0]])
    into = np.array([[size, 0, -size * x0], [0, size, -size * y0], [0, 0, 1.0]])
    back = np.array([[1 / scale, 0, u0], [0, 1 / scale, v0], [0, 0, 1.0]])
    matrix: Matrix = back @ inner @ into
    return matrix


def _normal(points: Points) -> tuple[float, float, float] | None:
    """Scale and middle that bring points [P, 2] about 0 and to a spread of 1; None where all lie in one place."""
    x0, y0 = (points.sum(axis=0) / len(points)).tolist()
    spread = float(np.abs(points - (x0, y0)).sum()) / (2 * len(points))
    return (1 / spread, x0, y0) if 0 < spread < np.inf else None


def _solved(rows: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The least squares of rows [S, 9], eight columns of a system and its right side: [8]."""
    square = rows.T @ rows
    try:
        numbers = np.asarray(np.linalg.solve(square[:8, :8], square[:8, 8]), np.float64)
    except np.linalg.LinAlgError:
        return None
    return numbers if np.abs(numbers).max() < _LARGEST else None


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
