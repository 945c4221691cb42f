"""The order of a quadrat's four corners."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.grid.template import Points, Template


def order_corners(template: Template, found: Points) -> NDArray[np.int64] | None:
    """Which found corner [4, 2] belongs to each template corner: int64 [4]; None where they make no quadrilateral.

    Points that go round in the template's sense keep their order. Otherwise they are put in that sense, and begin where
    most of them agree with the order they came in.
    """
    around = _around(found)
    if around is None:
        return None
    ideal = _around(template.points)
    if ideal is None:
        return None
    best = np.arange(4)
    most = -1
    for start in range(4):
        order = np.empty(4, np.int64)
        order[ideal] = np.roll(around, -start)
        agreeing = int((order == np.arange(4)).sum())
        if agreeing > most:
            best, most = order, agreeing
    return best


def _around(points: Points) -> NDArray[np.int64] | None:
    """The order in which four points go round, y down clockwise; None unless they are strictly convex."""
    centre = points.mean(axis=0)
    order = np.argsort(np.arctan2(points[:, 1] - centre[1], points[:, 0] - centre[0]), kind="stable")
    ring = points[order]
    edge = np.roll(ring, -1, axis=0) - ring
    following = np.roll(edge, -1, axis=0)
    turns = edge[:, 0] * following[:, 1] - edge[:, 1] * following[:, 0]
    return np.asarray(order, np.int64) if (turns > 0).all() else None
