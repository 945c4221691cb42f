"""Masks to polygons as CVAT gets them: outer contour of the largest part, simplified."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kelp.geometry.contours import outer_contours
from kelp.geometry.polygons import Polygons
from kelp.geometry.simplify import simplify
from kelp.geometry.spans import Mask, MaskSpans, spans_of_crops

SIMPLIFY_PX = 1.0


def outer_polygons(spans: MaskSpans, simplify_px: float = SIMPLIFY_PX) -> Polygons:
    """A polygon for each instance: its largest part, holes cut and specks dropped, points float32 on pixel edges.

    simplify_px: how far a dropped point may lie from the outline, in pixels of the original; at 0 rasterising the
    polygon gives the part back. No polygon crosses or touches itself. An empty instance has no points.
    """
    found = simplify(outer_contours(spans), simplify_px)
    return Polygons(found.offsets, found.points.astype(np.float32))


def mask_to_polygon(
    mask: Mask, origin_xy: tuple[int, int] = (0, 0), simplify_px: float = SIMPLIFY_PX
) -> NDArray[np.float32]:
    """`outer_polygons` of one crop, bool or uint8 [h, w], whose left upper pixel is `origin_xy`; float32 [n, 2]."""
    x, y = origin_xy
    spans = spans_of_crops([(mask, 0, 0)], (mask.shape[0], mask.shape[1]))
    polygon: NDArray[np.float32] = outer_polygons(spans, simplify_px).points + np.array((x, y), np.float32)
    return polygon
