"""Whether a new shape would lie on one that a person has changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.geometry.boxes import box_iou
from kelp.geometry.overlap import mask_iou
from kelp.geometry.polygons import Polygons, spans_of_polygons
from kelp.geometry.rle import decode_cvat_masks
from kelp.geometry.spans import MaskSpans

SAME_PLACE_IOU = 0.9
Shape = Mapping[str, Any]


def is_on(new: Shape, other: Shape) -> bool:
    """Whether `new` covers the same place as `other`: IoU ≥ 0.9. A tag is everywhere on its frame.

    Outlines, boxes and masks are compared by their pixels, points and skeletons by the boxes around them.
    """
    if "type" not in new or "type" not in other:
        return ("type" in new) == ("type" in other)
    first, second = _box(new), _box(other)
    if first is None or second is None:
        return False
    shared = float(box_iou(first[None], second[None]).ravel()[0])
    if not shared:
        return False
    size = (math.ceil(max(first[3], second[3])) + 1, math.ceil(max(first[2], second[2])) + 1)
    try:
        spans = _spans(new, size), _spans(other, size)
    except ValueError:  # a person's client may store what cannot be drawn
        spans = None, None
    if spans[0] is None or spans[1] is None or not (spans[0].area().all() and spans[1].area().all()):
        return shared >= SAME_PLACE_IOU
    return float(mask_iou(spans[0], spans[1])[0]) >= SAME_PLACE_IOU


def _points(shape: Shape) -> Sequence[float]:
    if shape.get("elements"):
        return [value for element in shape["elements"] for value in element["points"]]
    points: Sequence[float] = shape["points"]
    return points


def _box(shape: Shape) -> NDArray[np.float64] | None:
    """x1 y1 x2 y2 around the shape, half-open; None where it has no place."""
    points = _points(shape)
    if shape["type"] == "mask":
        if len(points) < 5:
            return None
        left, top, right, bottom = points[-4:]
        return np.array([left, top, right + 1, bottom + 1], np.float64)
    if shape["type"] == "ellipse" and len(points) == 4:
        cx, cy, right, top = points
        return np.array([2 * cx - right, top, right, 2 * cy - top], np.float64)
    places = np.asarray(points, np.float64)
    if len(places) < 2 or len(places) % 2 or not np.isfinite(places).all():
        return None
    places = places.reshape(-1, 2)
    return np.concatenate((places.min(0), places.max(0)))


def _spans(shape: Shape, size_hw: tuple[int, int]) -> MaskSpans | None:
    points = shape.get("points") or ()
    match shape["type"]:
        case "mask":
            numbers = np.asarray(points).astype(np.int64)
            return decode_cvat_masks((0, len(numbers)), numbers, size_hw)
        case "polygon" | "polyline" if len(points) >= 6:
            return spans_of_polygons(Polygons.of([np.asarray(points, np.float64)]), size_hw)
        case "rectangle" if len(points) == 4:
            return spans_of_polygons(Polygons.of([_corners(points, float(shape.get("rotation") or 0))]), size_hw)
    return None


def _corners(box: Sequence[float], degrees: float) -> NDArray[np.float64]:
    x1, y1, x2, y2 = box
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
    if not degrees:
        return corners
    angle, centre = math.radians(degrees), corners.mean(0)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turned: NDArray[np.float64] = (corners - centre) @ turn + centre
    return turned
