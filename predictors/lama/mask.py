"""What is to be removed: the lines of a grid through its points."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from kelp.errors import InvalidImage
from predictors.lama.grid import check_grid

_SHIFT = 4
_FARTHEST = float(1 << 20)
"""Points farther off than this are no points of the picture, and would overflow the drawing."""


def grid_mask(
    points: NDArray[np.float32], grid_shape: tuple[int, int], width_px: float, size_hw: tuple[int, int]
) -> NDArray[np.uint8]:
    """uint8 [H, W], 1 on the lines along rows and columns of `points` [rows · columns, 2] (x, y in pixels, row by row).

    Points are half-open: the first pixel's middle is at 0.5. Lines are `width_px` pixels wide and run on to the
    picture's border. InvalidImage for points that span no grid, stand in another order, or lie beside the picture.
    """
    rows, columns = grid_shape
    grid = np.asarray(points, np.float64).reshape(rows, columns, 2)
    if np.abs(grid).max() > _FARTHEST:
        raise InvalidImage(f"grid_points: expected pixels of the image, got {np.abs(grid).max():.3g}")
    check_grid(grid, size_hw)
    # OpenCV counts from the middle of the first pixel.
    grid = grid - 0.5
    mask = np.zeros(size_hw, np.uint8)
    reach = float(np.hypot(*size_hw)) + float(np.abs(grid).max())
    for line in (*grid, *grid.transpose(1, 0, 2)):
        _draw(mask, _extended(line, reach), width_px)
    return mask


def _extended(line: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """`line` [P, 2] with both ends moved on by `reach` pixels in their direction."""
    return np.concatenate([_beyond(line[::-1], reach)[None], line, _beyond(line, reach)[None]])


def _beyond(line: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    # Over up to three points: the last two alone would swing with each one's error.
    along = line[-1] - line[max(-3, -len(line))]
    length = float(np.hypot(*along))
    if length < 1e-6:
        raise InvalidImage("grid_points: neighbouring points lie in one place, so that no line leads through them")
    return np.asarray(line[-1] + along / length * reach)


def _draw(mask: NDArray[np.uint8], line: NDArray[np.float64], width_px: float) -> None:
    """Each piece as a rectangle of exact width, and a disc at each joint."""
    half = width_px / 2
    for start, end in pairwise(line):
        along = end - start
        length = float(np.hypot(*along))
        if length == 0:
            continue
        across = np.array([-along[1], along[0]]) / length * half
        corners = np.array([start + across, end + across, end - across, start - across])
        clipped = np.clip(corners, -_FARTHEST * 4, _FARTHEST * 4)
        cv2.fillConvexPoly(mask, np.rint(clipped * (1 << _SHIFT)).astype(np.int32), (1,), cv2.LINE_8, _SHIFT)
    for joint in line[1:-1]:
        place = np.rint(joint * (1 << _SHIFT)).astype(np.int64)
        cv2.circle(
            mask, (int(place[0]), int(place[1])), round(half * (1 << _SHIFT)), (1,), cv2.FILLED, cv2.LINE_8, _SHIFT
        )
