"""Whether points are the crossings of a grid in a picture, in the order in which its lines are drawn through them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kelp.errors import InvalidImage

_MOST_FOLDED = 0.25
"""How far a corner of a mesh may be turned inside out, in parts of the usual mesh: strings sag, and points are off."""


def check_grid(grid: NDArray[np.float64], size_hw: tuple[int, int]) -> None:
    """InvalidImage for `grid` [R, C, 2] (x, y in pixels) that folds over itself, or of which nothing is in the picture.

    Every view of a grid, however it is turned, mirrored, leaning or bent, has meshes that go round the same way; points
    in another order do not.
    """
    rows, columns = grid.shape[:2]
    if min(rows, columns) < 2:
        return
    folded = _folded(grid)
    if folded.any():
        row, column = np.argwhere(folded)[0]
        raise InvalidImage(
            f"grid_points: expected the crossings of a {rows} x {columns} grid, row by row; {int(folded.sum())} of its "
            f"{folded.size} meshes are folded, the first one begins at point {row * columns + column + 1}"
        )
    height, width = size_hw
    picture = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    hull = cv2.convexHull(grid.reshape(-1, 2).astype(np.float32))
    if cv2.contourArea(hull) <= 0:
        raise InvalidImage("grid_points: the points lie in one place or on one line")
    shared, _ = cv2.intersectConvexConvex(hull, picture)
    if shared <= 0:
        (left, top), (right, bottom) = grid.min(axis=(0, 1)), grid.max(axis=(0, 1))
        raise InvalidImage(
            f"grid_points: the grid lies beside the picture of {width}x{height} pixels, "
            f"x from {left:.0f} to {right:.0f}, y from {top:.0f} to {bottom:.0f}"
        )


def _folded(grid: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of each mesh, bool [R - 1, C - 1], whether one of its corners turns the other way than most do."""
    ring = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]])
    edge = np.roll(ring, -1, axis=0) - ring
    following = np.roll(edge, -1, axis=0)
    turns = edge[..., 0] * following[..., 1] - edge[..., 1] * following[..., 0]
    turns = turns * (1 if np.sign(turns).sum() >= 0 else -1)
    return np.asarray((turns < -_MOST_FOLDED * np.median(np.abs(turns))).any(axis=0))
