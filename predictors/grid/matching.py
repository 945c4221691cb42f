"""From a pose model's keypoints to the template's slots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from predictors.grid.corners import order_corners
from predictors.grid.homography import Matrix, fit, jacobian, keeps_side, refine, warp
from predictors.grid.orientation import upright
from predictors.grid.template import Points, Template

SEEN = 0.5
"""From this visibility on a keypoint counts as found."""
_WIDEST_GATE, _NARROWEST_GATE = 0.45, 0.12
"""How far from its slot a point may lie, in parts of the slots' spacing there: less than half way to the next. The gate
narrows to what the points themselves agree on, so that a stray one does not take a slot in whose vicinity it fell."""
_GATE_SPREADS = 5.0
_FIRST_GATE = 0.25
_TRIMS, _TRIM, _MOST_SOUND = 4, 3.0, 0.75
_ROUNDS = 3


@dataclass(frozen=True)
class Matched:
    """keypoints: float32 [K, 3], x y visibility in the template's order, 0 where the homography has filled in;
    homography: float64 [3, 3], template → picture."""

    keypoints: NDArray[np.float32]
    homography: Matrix


def match(template: Template, keypoints: NDArray[np.float32], *, by_mark: bool) -> Matched | None:
    """Puts one instance's keypoints, float32 [K, 3] (x, y, visibility 0..1), into the template's slots.

    by_mark: whether the model's own order tells which way is up; otherwise the image does. None where no plausible
    view of the template explains the points: they are better left as they are.
    """
    if len(template) == 4:
        return _match_corners(template, keypoints, by_mark)
    found = keypoints[:, :2].astype(np.float64)
    slots = np.flatnonzero((keypoints[:, 2] >= SEEN) & np.isfinite(found).all(axis=1))
    points = found[slots]
    view = refine(template.points[slots], points) if len(slots) >= max(4, len(template) // 4) else None
    ideal = None if view is None else _all_in_place(template, view, points, slots)
    if view is None or ideal is None:
        return _sorted_out(template, keypoints, found, slots, by_mark)
    answer = np.zeros((len(template), 3), np.float32)
    answer[:, :2] = ideal
    answer[slots] = keypoints[slots]
    return _turned(template, answer, view, by_mark)


def _all_in_place(template: Template, view: Matrix, points: Points, slots: NDArray[np.int64]) -> Points | None:
    """The slots as `view` shows them [K, 2], if every point lies so close to the slot that the model gave it that no
    assignment can be better; else None.

    Each is nearer to it than half way to any other slot, so that the sum of the points' least distances is reached; and
    within the narrowest gate, so that none would ever be set aside.
    """
    raised = template.points @ view[:, :2].T + view[:, 2]
    depth = raised[:, 2]
    if depth.min() <= 0:
        return None
    ideal = raised[:, :2] / depth[:, None]
    off = ideal[slots] - points
    away = (off * off).sum(axis=1)
    gate = _NARROWEST_GATE * template.spacing * _scales(view, depth)[slots]
    if (away > gate * gate).any():
        return None
    between = ideal[template.around] - ideal[:, None]
    nearest = (between * between).sum(axis=2).min(axis=1)
    return np.asarray(ideal) if (4 * away < nearest[slots]).all() else None


def _sorted_out(
    template: Template,
    keypoints: NDArray[np.float32],
    found: Points,
    slots: NDArray[np.int64],
    by_mark: bool,
) -> Matched | None:
    """The same for points of which some are mistaken: a robust view first, then the best assignment, round by round."""
    matrix = _first_view(template, found, slots)
    if matrix is None:
        return None
    points = found[slots]
    taken = np.full(len(template), -1, np.int64)
    gate = _WIDEST_GATE
    for _ in range(_ROUNDS):
        before = taken
        taken, gate = _assign(template, matrix, points, gate)
        filled = np.flatnonzero(taken >= 0)
        better = refine(template.points[filled], points[taken[filled]]) if len(filled) >= 4 else None
        if better is None or not keeps_side(better, template.points):
            return None
        matrix = better
        if np.array_equal(taken, before):
            break
    if len(filled) < max(4, len(template) // 4):
        return None
    answer = np.zeros((len(template), 3), np.float32)
    answer[:, :2] = warp(matrix, template.points)
    answer[filled] = keypoints[slots[taken[filled]]]
    return _turned(template, answer, matrix, by_mark)


def _first_view(template: Template, found: Points, slots: NDArray[np.int64]) -> Matrix | None:
    """The view that most of the points agree on in the order that the model gave them."""
    if len(slots) < 4:
        return None
    matrix = _trimmed_view(template, found, slots)
    if matrix is None:
        tolerance = _FIRST_GATE * _spacing(template, found, slots)
        matrix = fit(template.points[slots], found[slots], max(tolerance, 0.5))
    if matrix is None or not keeps_side(matrix, template.points):
        return None
    return matrix


def _trimmed_view(template: Template, found: Points, slots: NDArray[np.int64]) -> Matrix | None:
    """Least squares of all points, then of those that it fits best: enough where few are mistaken, and cheap."""
    kept = slots
    for _ in range(_TRIMS):
        if len(kept) < max(8, _MOST_SOUND * len(slots)):
            return None
        view = refine(template.points[kept], found[kept])
        if view is None or not keeps_side(view, template.points):
            return None
        away = np.hypot(*(warp(view, template.points[slots]) - found[slots]).T)
        sound = away <= _NARROWEST_GATE * template.spacing * _scales(view, _depth(template, view))[slots]
        if sound.mean() >= _MOST_SOUND:
            return view
        kept = slots[away <= max(_TRIM * float(np.median(away)), 1e-9)]
    return None


def _spacing(template: Template, found: Points, slots: NDArray[np.int64]) -> float:
    """The usual distance in pixels between points that are nearest neighbours in the template."""
    apart = found[slots] - found[template.neighbours[slots]]
    return float(np.median(np.hypot(apart[:, 0], apart[:, 1])))


def _assign(template: Template, matrix: Matrix, points: Points, gate: float) -> tuple[NDArray[np.int64], float]:
    """For each slot the point (index into `points` [P, 2]) that lies there, or -1: int64 [K]; and the next gate.

    The assignment with the least sum of distances, each measured in the slot's own spacing and cut off at the gate.
    """
    ideal = warp(matrix, template.points)
    spacing = template.spacing * _scales(matrix, _depth(template, matrix))[:, None]
    across = (ideal[:, :1] - points[:, 0]) / spacing
    down = (ideal[:, 1:] - points[:, 1]) / spacing
    apart = np.minimum(np.sqrt(across * across + down * down), gate)
    slots, found = linear_sum_assignment(apart)
    distance = apart[slots, found]
    near = distance < gate
    taken = np.full(len(template), -1, np.int64)
    taken[slots[near]] = found[near]
    spread = float(np.median(distance[near])) if near.any() else gate
    return taken, min(gate, max(_NARROWEST_GATE, _GATE_SPREADS * spread))


def _depth(template: Template, matrix: Matrix) -> NDArray[np.float64]:
    return np.asarray(template.points @ matrix[2, :2] + matrix[2, 2])


def _scales(matrix: Matrix, depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels a template unit about each slot, float64 [K]: the square root of the area's growth there."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    size = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    # The Jacobian's determinant of a homography is det(H) / w³ (w: the depth at the point).
    return np.asarray(np.sqrt(np.abs(size / (depth * depth * depth))))


def _match_corners(template: Template, keypoints: NDArray[np.float32], by_mark: bool) -> Matched | None:
    found = keypoints[:, :2].astype(np.float64)
    order = order_corners(template, found) if np.isfinite(found).all() else None
    if order is None:
        return None
    matrix = fit(template.points, found[order], 1.0)
    if matrix is None or not keeps_side(matrix, template.points):
        return None
    return _turned(template, keypoints[order].astype(np.float32), matrix, by_mark)


def _turned(template: Template, keypoints: NDArray[np.float32], matrix: Matrix, by_mark: bool) -> Matched:
    if by_mark or np.linalg.det(jacobian(matrix, template.centre)) == 0:
        return Matched(keypoints, matrix)
    symmetry = upright(template, matrix)
    about = np.eye(3)
    about[:2, :2] = symmetry.linear
    about[:2, 2] = template.centre - symmetry.linear @ template.centre
    return Matched(keypoints[symmetry.order], matrix @ about)
