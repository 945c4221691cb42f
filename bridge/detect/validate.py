"""What CVAT stores without complaint although it is wrong is refused here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_LEAST = {"polygon": 6, "polyline": 4, "points": 2}


def fault(shape: Mapping[str, Any], size_hw: tuple[int, int]) -> str | None:
    """Why `shape` must not be written on a frame of `size_hw` (height, width); None where nothing is wrong with it."""
    kind = shape.get("type")
    if kind is None:
        return None  # a tag has no place
    if kind == "skeleton":
        elements = shape["elements"]
        if not elements:
            return "a skeleton without points"
        return next((wrong for e in elements if (wrong := _points(e["points"], 2, 2, size_hw)) is not None), None)
    points = shape["points"]
    if kind == "mask":
        return _mask(points, size_hw)
    if kind == "rectangle":
        wrong = _points(points, 4, 4, size_hw)
        return wrong or (None if points[0] < points[2] and points[1] < points[3] else "an empty box")
    least = _LEAST.get(kind)
    return f"unknown type '{kind}'" if least is None else _points(points, least, None, size_hw)


def _points(points: Sequence[float], least: int, most: int | None, size_hw: tuple[int, int]) -> str | None:
    if len(points) < least or len(points) % 2 or (most is not None and len(points) > most):
        return f"{len(points)} coordinates"
    height, width = size_hw
    # One number that is none makes the sum none; min and max may pass over it.
    if not math.isfinite(sum(points)):
        return "points that are no numbers"
    if not (min(points[0::2]) >= 0 and max(points[0::2]) <= width):
        return "points outside the image"
    if not (min(points[1::2]) >= 0 and max(points[1::2]) <= height):
        return "points outside the image"
    return None


def _mask(points: Sequence[float], size_hw: tuple[int, int]) -> str | None:
    if len(points) < 5:
        return "an empty mask"
    *runs, left, top, right, bottom = points
    if not (0 <= left <= right < size_hw[1] and 0 <= top <= bottom < size_hw[0]):
        return "a mask outside the image"
    if min(runs) < 0 or sum(runs) != (right - left + 1) * (bottom - top + 1):
        return "run lengths that do not fill the mask's box"
    return None
