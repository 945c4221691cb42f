"""The framed square in a photograph: whether four points can be one, and the picture of it seen straight on."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALLEST_SIDE_PX = 8.0
_FINER = 2
_CLOSEST_TO_LINE = 1e-3
"""Sine of the angle at a corner below which the quadrilateral is as good as a triangle."""


def quadrat_fault(corners: NDArray[np.floating], size_hw: tuple[int, int]) -> str | None:
    """Why `corners` [4, 2] (x, y in pixels, half-open: the picture reaches from 0 to its width) are no quadrat in it.

    None if they are one: inside the picture, in turn clockwise (y down), convex, and with sides worth cropping.
    """
    points = np.asarray(corners, np.float64)
    if points.shape != (4, 2):
        return f"expected 4 corners, got {points.size // 2}"
    if not np.isfinite(points).all():
        return "a corner has no finite coordinates"
    height, width = size_hw
    outside = (points < 0).any(axis=1) | (points[:, 0] > width) | (points[:, 1] > height)
    if outside.any():
        number = int(np.argmax(outside))
        x, y = points[number]
        return f"corner {number + 1} ({x:.0f}, {y:.0f}) lies outside the image of {width}x{height}"
    edges = np.roll(points, -1, axis=0) - points
    lengths = np.hypot(edges[:, 0], edges[:, 1])
    if lengths.min() < _SMALLEST_SIDE_PX:
        return f"a side is only {lengths.min():.1f} pixels long"
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    sines = turns / (lengths * np.roll(lengths, -1))
    if (sines > _CLOSEST_TO_LINE).all():
        return None
    if (sines < -_CLOSEST_TO_LINE).all():
        return "the corners go round anticlockwise: the picture of it would be mirrored"
    if (np.abs(sines) <= _CLOSEST_TO_LINE).any():
        return "three corners lie on one line"
    return "its sides cross each other, or it is not convex"


def crop_quadrat(image: NDArray[np.uint8], corners: NDArray[np.floating], size: int) -> NDArray[np.uint8]:
    """The quadrat as a square of `size` pixels: uint8 [size, size, C] of uint8 [H, W, C].

    corners: [4, 2], x and y in pixels of `image` (half-open); the first becomes the upper left one, the others follow
    clockwise. Where the picture shrinks, it is averaged to about twice the resolution, warped there with bicubic
    interpolation, and averaged again: fine strings and textures do not turn into patterns of their own. ValueError for
    corners that are no quadrat.
    """
    height, width = image.shape[:2]
    fault = quadrat_fault(corners, (height, width))
    if fault is not None:
        raise ValueError(fault)
    points = np.asarray(corners, np.float64)
    # Context for averaging and interpolation beside the outermost corners.
    reach = math.ceil(3 * _shrinking(points, size)) + 3
    left, top = (max(0, math.floor(low) - reach) for low in points.min(axis=0))
    right, bottom = (
        min(side, math.ceil(high) + reach) for side, high in zip((width, height), points.max(axis=0), strict=True)
    )
    part: NDArray[Any] = image[top:bottom, left:right]
    points = points - (left, top)
    factor = _shrinking(points, size)
    fine = 1 if factor <= 1 else _FINER
    if factor > fine:
        small = (max(1, round(part.shape[1] * fine / factor)), max(1, round(part.shape[0] * fine / factor)))
        points = points * (small[0] / part.shape[1], small[1] / part.shape[0])
        part = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
    side = size * fine
    square = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float64)
    # OpenCV counts from the middle of the first pixel.
    matrix = cv2.getPerspectiveTransform((points - 0.5).astype(np.float32), (square - 0.5).astype(np.float32))
    warped = cv2.warpPerspective(part, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    if fine > 1:
        warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.uint8)


def _shrinking(points: NDArray[np.float64], size: int) -> float:
    """How many pixels of the photograph become one, along a side of usual length."""
    edges = np.roll(points, -1, axis=0) - points
    return float(np.hypot(edges[:, 0], edges[:, 1]).mean() / size)
