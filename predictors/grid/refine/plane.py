"""A homography moved so that points of the template come to lie on lines that were measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictors.grid.homography import Matrix
from predictors.grid.refine.lattice import Seen
from predictors.grid.refine.robust import solve

Points = NDArray[np.float64]
Measured = tuple[Points, Seen, NDArray[np.float64], NDArray[np.float64]]
"""Template points [S, 2]; how they are seen; how far along the normal the string lies [S], pixels; weights [S]."""


def nudged(view: Matrix, measured: Sequence[Measured], least_spread: float) -> Matrix | None:
    """One Gauss-Newton step of the eight numbers of a homography (Hartley and Zisserman, 2004, 4.2), robustly.

    Each measurement says how far off a point lies across its string; nothing is asked along it. None where too few
    agree.
    """
    points = np.concatenate([part[0] for part in measured])
    at = np.concatenate([part[1].at for part in measured])
    normal = np.concatenate([part[1].normal for part in measured])
    away = np.concatenate([part[2] for part in measured])
    weight = np.concatenate([part[3] for part in measured])
    if (weight > 0).sum() < 16:
        return None
    # About the middle and in units of the extent, so that the eight columns are of one size.
    here, there = _centring(points), _centring(at)
    size = 1 / there[0, 0]
    matrix = there @ view @ np.linalg.inv(here)
    if abs(matrix[2, 2]) < 1e-9:
        return None
    matrix = matrix / matrix[2, 2]
    x, y = (points @ here[:2, :2].T + here[:2, 2]).T
    u, v = (at @ there[:2, :2].T + there[:2, 2]).T
    depth = matrix[2, 0] * x + matrix[2, 1] * y + 1
    nx, ny = normal.T
    together = nx * u + ny * v
    rows = np.column_stack([nx * x, nx * y, nx, ny * x, ny * y, ny, -together * x, -together * y]) / depth[:, None]
    change, _ = solve(rows, away / size, weight, least_spread / size)
    better = np.append((matrix.ravel()[:8] + change), 1.0).reshape(3, 3)
    answer = np.linalg.inv(there) @ better @ here
    if not np.isfinite(answer).all() or abs(answer[2, 2]) < 1e-12:
        return None
    return np.asarray(answer / answer[2, 2], np.float64)


def _centring(points: Points) -> Matrix:
    """Takes the points' middle to 0 and their extent to 1: [3, 3]."""
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    size = float(np.ptp(points, axis=0).max())
    return np.array([[1 / size, 0, -middle[0] / size], [0, 1 / size, -middle[1] / size], [0, 0, 1]])
