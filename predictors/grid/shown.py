"""What a picture itself shows of the points that a network has named: without any of it there is no quadrat."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kelp.detections import Predictions
from predictors.grid.matching import Matched
from predictors.grid.refine import refine_corners, refine_grid
from predictors.grid.template import Template

_SIDES = 4


@dataclass(frozen=True)
class Shown:
    """keypoints: float32 [K, 3], x y visibility, those that were measured where they are in the picture; share: 0..1,
    how much of what bears them is to be seen there."""

    keypoints: NDArray[np.float32]
    share: float


def shown(template: Template, matched: Matched, image: NDArray[np.uint8], grid_shape: tuple[int, int] | None) -> Shown:
    """Matched points measured on the picture they were found in (uint8 [H, W, 3], RGB).

    Corners: a point's visibility counts by the share of its two sides whose edge is to be seen, the find by that of
    all four. Crossings: visibility is the share of a crossing's four arms that is to be seen; a grid shows or it does
    not. What does not show at all keeps its points, with visibility 0.
    """
    keypoints = matched.keypoints.copy()
    if len(template) == _SIDES:
        corners = refine_corners(image, keypoints[:, :2].astype(np.float64))
        if corners is not None:
            keypoints[:, :2] = corners.points
            keypoints[:, 2] *= corners.seen
            return Shown(keypoints, corners.sides / _SIDES)
    else:
        shape = grid_shape or template.shape
        if shape is None:  # points in no rows and columns: nothing that could be measured
            return Shown(keypoints, 1.0)
        grid = refine_grid(image, template.points, shape, matched.homography)
        if grid is not None:
            keypoints[:, :2] = grid.points
            keypoints[:, 2] = grid.seen
            return Shown(keypoints, 1.0)
    keypoints[:, 2] = 0
    return Shown(keypoints, 0.0)


def unseen_outside(keypoints: NDArray[np.float32], size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """keypoints [K, 3] with visibility 0 where they lie outside a picture of (height, width)."""
    height, width = size_hw
    x, y = keypoints[:, 0], keypoints[:, 1]
    inside = (x >= 0) & (y >= 0) & (x <= width) & (y <= height)
    answer = keypoints.copy()
    answer[~inside, 2] = 0
    return answer


def kept(found: Predictions, shares: NDArray[np.float64], least_score: float) -> Predictions:
    """`found` (without masks) with each score lowered to the share that shows, the surest first; what falls below
    `least_score` is left out."""
    score = (found.score * np.asarray(shares, np.float32)).astype(np.float32)
    order = np.argsort(-score, kind="stable")
    order = order[score[order] >= least_score]
    return replace(
        found,
        label_id=found.label_id[order],
        score=score[order],
        box=found.box[order],
        keypoints=None if found.keypoints is None else found.keypoints[order],
    )
