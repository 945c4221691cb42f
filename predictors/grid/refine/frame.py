"""Corners of a quadrat: the inner edges of its frame's four pipes, and where they meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.grid.refine.profiles import Floats, Points, across, box_mean, peaks, shifted, shrunk, whiteness
from predictors.grid.refine.robust import solve
from predictors.grid.refine.voting import straight_lines

_REACH = 0.14
"""How far an edge may lie from where the model saw it, in parts of the side."""
_PIPE, _GROUND = 0.022, 0.012
"""How much beside an edge is looked at, in parts of the side: less than a pipe is wide, much more than a string."""
_ALONG = np.linspace(0.13, 0.87, 128)
"""Where along a side: fittings cover the pipes near the corners."""
_BESIDE = (0.006, 0.02)
_DARKEST = 0.4
"""The part of the places that is measured: over bright sand a pipe's edge, itself in the shade, is not to be seen."""
_FINE = (0.009, 0.0035, 0.0025)
_LEAST_STEP = 8.0
_INNERMOST = 0.55
_LEAST_SUPPORT = 0.35
_MOST_MOVED = 0.3
_SURE, _LIKELY = 0.9, 0.6
"""By how many of its own standard deviations a pipe is brighter than the ground along an edge, whatever the contrast:
sand, corals and noise, searched for the best line, stay below 0.85, nineteen times of twenty below 0.6. Where two sides
are surely a frame's, the others need only be likely: bright sand and corals over a pipe leave that much."""
_LEAST_SURE = 2
_LEAST_SPREAD = 4.0
_LEAST_INSIDE = 0.5


@dataclass(frozen=True)
class Corners:
    """points: float64 [4, 2], x y in pixels, half-open; seen: float64 [4], the share of the two sides meeting there
    whose edge is to be seen: 0, 0.5 or 1; sides: how many of the four sides are to be seen."""

    points: Points
    seen: NDArray[np.float64]
    sides: int


def refine_corners(image: NDArray[np.uint8], corners: Points) -> Corners | None:
    """Corners [4, 2] (x, y in pixels, half-open) moved to where the frame's inner edges meet.

    image: uint8 [H, W, 3], RGB; corners: in turn clockwise or anticlockwise, to about 10 % of a side. A side whose edge
    is not to be seen stays where `corners` have it. None where no side of a bright frame is to be seen.
    """
    side = float(np.mean(np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)))
    if side < 32 or not np.isfinite(side):
        return None
    gray, scale = shrunk(whiteness(image), side)
    rough = corners * scale - 0.5
    side *= scale
    edges = [_edge(gray, rough, number, side) for number in range(4)]
    effect = np.array([edge.effect for edge in edges])
    shown = effect >= (_LIKELY if (effect >= _SURE).sum() >= _LEAST_SURE else _SURE)
    if not shown.any():
        return None
    seen = (shown + np.roll(shown, 1).astype(np.float64)) / 2
    found = rough.copy()
    for number in range(4):
        before, after = (
            edges[at].line if shown[at] else (rough[at], rough[(at + 1) % 4]) for at in ((number - 1) % 4, number)
        )
        place = _meeting(before, after)
        if place is None or np.hypot(*(place - rough[number])) > _MOST_MOVED * side:
            seen[number] = 0.0
        elif seen[number] > 0:
            found[number] = place
    return Corners(np.asarray((found + 0.5) / scale, np.float64), seen, int(shown.sum()))


@dataclass(frozen=True)
class _Edge:
    """line: two points of a pipe's inner edge; effect: by how many standard deviations the pipe stands out there."""

    line: tuple[Points, Points]
    effect: float


def _edge(gray: NDArray[np.uint8], corners: Points, number: int, side: float) -> _Edge:
    """What is most like the pipe's inner edge between corner `number` and the next."""
    start, end = corners[number], corners[(number + 1) % 4]
    inward = corners.mean(axis=0) - (start + end) / 2
    normal = np.array([start[1] - end[1], end[0] - start[0]]) / np.hypot(*(end - start))
    if normal @ inward < 0:
        normal = -normal
    reach = int(_REACH * side)
    offsets = np.arange(-reach, reach + 1, dtype=np.float64)
    spots = start + _ALONG[:, None] * (end - start)
    normals = np.broadcast_to(normal, spots.shape)
    strip = _contrast(across(gray, spots, normals, offsets), side)
    share = (_ALONG - _ALONG[0]) / (_ALONG[-1] - _ALONG[0])
    (ends,), _ = straight_lines(np.clip(strip, -40, 90)[None], share, 2 if reach < 120 else 4)
    line = np.array([offsets[ends[0]], offsets[ends[1]]])
    rows = np.column_stack([1 - share, share])
    beside = np.linspace(_BESIDE[0], _BESIDE[1], 12) * side
    ground = across(gray, spots + (rows @ line)[:, None] * normal, normals, beside).mean(axis=1)
    dark = np.argsort(np.where(np.isnan(ground), np.inf, ground))[: int(_DARKEST * len(spots))]
    support = 0.0
    for fine in _FINE:
        at = spots[dark] + (rows[dark] @ line)[:, None] * normal
        half = max(2.0, round(fine * side))
        near = np.arange(-half - 2, half + 2.5, 0.5)
        where, height = _innermost(_steps(across(gray, at, normals[dark], near))[:, 4:-4])
        offset = near[4] + 0.5 * where
        moved, counted = solve(rows[dark], offset, (height > _LEAST_STEP).astype(np.float64), 0.4)
        line = line + moved
        support = float((counted > 0.3).mean())
    found = spots + (rows @ line)[:, None] * normal
    effect = _effect(gray, found, normals, side) if support >= _LEAST_SUPPORT else 0.0
    return _Edge((found[0], found[-1]), effect)


def _effect(gray: NDArray[np.uint8], edge: Points, normals: Points, side: float) -> float:
    """How much brighter it is on the outer side of the places `edge` [P, 2], in standard deviations along it: high
    where it is so throughout, not by chance here and there. 0 where most of the edge is off the picture."""
    beside = np.arange(1.0, max(3.0, _GROUND * side) + 1)
    contrast = (across(gray, edge, normals, -beside) - across(gray, edge, normals, beside)).mean(axis=1)
    contrast = contrast[np.isfinite(contrast)]
    if len(contrast) < _LEAST_INSIDE * len(edge):
        return 0.0
    return float(contrast.mean()) / max(float(contrast.std()), _LEAST_SPREAD)


def _innermost(steps: Floats) -> tuple[NDArray[np.float64], Floats]:
    """Of each row's larger steps the one that is farthest in: where (in samples, with a fraction), and how high."""
    filled = np.nan_to_num(steps, nan=-1.0)
    enough = filled >= _INNERMOST * filled.max(axis=1, keepdims=True)
    last = filled.shape[1] - 1 - enough[:, ::-1].argmax(axis=1)
    # Up from there, while it gets higher: to the top of that step.
    rises = np.diff(filled, axis=1) > 0  # from sample i to i + 1, inwards
    index = np.arange(filled.shape[1] - 1)
    before = np.where(rises & (index[None] < last[:, None]), index[None] + 1, -1).max(axis=1)
    top = np.where(before < 0, 0, before)
    window = np.abs(np.arange(filled.shape[1])[None] - top[:, None]) <= 1
    return peaks(np.asarray(np.where(window, filled, -np.inf), np.float32))


def _contrast(strip: Floats, side: float) -> Floats:
    """How much brighter the pipe's side of each place is than the ground's."""
    pipe, ground = (max(1, int(part * side)) for part in (_PIPE, _GROUND))
    outer = shifted(box_mean(strip, pipe | 1), -(pipe // 2 + 1))
    inner = shifted(box_mean(strip, ground | 1), ground // 2 + 1)
    return np.asarray(outer - inner, np.float32)


def _steps(strip: Floats) -> Floats:
    """Fall of brightness inwards over two pixels, of profiles in half pixels."""
    smooth = box_mean(strip, 3)
    return np.asarray(shifted(smooth, -2) - shifted(smooth, 2), np.float32)


def _meeting(one: tuple[Points, Points], other: tuple[Points, Points]) -> Points | None:
    """Where two lines, given by two points each, meet; None where they are as good as parallel."""
    along, beside = one[1] - one[0], other[1] - other[0]
    across_ = along[0] * beside[1] - along[1] * beside[0]
    if abs(across_) < 0.1 * np.hypot(*along) * np.hypot(*beside):
        return None
    gap = other[0] - one[0]
    return np.asarray(one[0] + along * ((gap[0] * beside[1] - gap[1] * beside[0]) / across_), np.float64)
