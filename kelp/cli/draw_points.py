"""Keypoints on a picture: their places, their order, and which were only guessed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]
_VISIBLE = 0.5
_FEW = 8  # joined all around, as corners are
_NUMBERED = 20
_JUMP = 2.5  # steps of the usual length: from the end of a row to the next one's beginning


def draw_points(out: NDArray[np.uint8], points: NDArray[np.float32], paint: Colour, thickness: int) -> None:
    """Onto `out` [H, W, 3] RGB: points [K, 3] (x, y, visibility), hollow where hidden, joined in their order.

    Few points are joined all around; of many, those that follow closely, row by row.
    """
    places = [(round(float(x)), round(float(y))) for x, y, _ in points]
    joints = [(i, (i + 1) % len(points)) for i in range(len(points))] if len(points) <= _FEW else _rows(points)[0]
    for start, end in joints:
        cv2.line(out, places[start], places[end], paint, max(1, thickness // 2), cv2.LINE_AA)
    radius = 3 * thickness
    for place, (_, _, visibility) in zip(places, points.tolist(), strict=True):
        cv2.circle(out, place, radius + max(1, thickness // 2), (0, 0, 0), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(out, place, radius, paint, cv2.FILLED, cv2.LINE_AA)
        if visibility < _VISIBLE:
            cv2.circle(out, place, max(1, radius - thickness), (0, 0, 0), cv2.FILLED, cv2.LINE_AA)


def number_points(pen: ImageDraw.ImageDraw, points: NDArray[np.float32], size: int) -> None:
    """Numbers from 1 beside the points: all of a few, of many those that begin a row, and the last."""
    shown = range(len(points)) if len(points) <= _NUMBERED else [*_rows(points)[1], len(points) - 1]
    font = ImageFont.load_default(size)
    for index in shown:
        x, y = float(points[index, 0]) + size * 0.5, float(points[index, 1]) + size * 0.3
        pen.text(
            (x, y),
            str(index + 1),
            font=font,
            fill=(255, 255, 255),
            stroke_width=max(1, size // 10),
            stroke_fill=(0, 0, 0),
        )


def _rows(points: NDArray[np.float32]) -> tuple[list[tuple[int, int]], list[int]]:
    """Pairs of points that follow each other closely, and which points begin a row."""
    steps = np.hypot(*(points[1:, :2] - points[:-1, :2]).T)
    near = steps <= _JUMP * max(float(np.median(steps)), 1.0)
    joints = [(int(i), int(i) + 1) for i in np.flatnonzero(near)]
    return joints, [0, *(int(i) + 1 for i in np.flatnonzero(~near))]
