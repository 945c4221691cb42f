"""Crossings of a string grid: strings are found as ridges, and one homography is laid through all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.grid.homography import Matrix, keeps_side, warp
from predictors.grid.refine.crossings import crossings
from predictors.grid.refine.lattice import Strings, seen_through, strings_of
from predictors.grid.refine.plane import nudged
from predictors.grid.refine.profiles import Points, peaks, shrunk, whiteness
from predictors.grid.refine.ridges import LEAST_RIDGE, Ridges
from predictors.grid.refine.slots import shift, shift_of
from predictors.grid.refine.voting import straight_lines

_REACH = (0.45, 0.2)
"""How far a string may lie from where it is thought, in parts of the spacing: first about half way to the next."""
_FINE = (0.07, 0.04, 0.03)
_LEAST_FINE_PX = 3.0
_LEAST_SUPPORT = 0.3
_SOUND, _LEAST_SOUND = 0.85, 0.6
"""Share of places at which a string is seen: of a grid that was surely followed, and of one that may have been."""
_STARTS = (
    (0.0, 0.0),
    (0.5, 0.0),
    (-0.5, 0.0),
    (0.0, 0.5),
    (0.0, -0.5),
    (0.5, 0.5),
    (0.5, -0.5),
    (-0.5, 0.5),
    (-0.5, -0.5),
)
"""Where the search begins, in spacings from where the model saw the grid: the next one only if those before failed."""


@dataclass(frozen=True)
class Refined:
    """points: float64 [K, 2], x y in pixels, half-open; seen: float64 [K], 0..1, the share of a crossing's four arms
    that is to be seen; matrix: float64 [3, 3], template → picture."""

    points: Points
    seen: NDArray[np.float64]
    matrix: Matrix


def refine_grid(
    image: NDArray[np.uint8], points: Points, grid_shape: tuple[int, int], matrix: Matrix
) -> Refined | None:
    """Crossings where the strings of `image` (uint8 [H, W, 3], RGB) meet.

    points: the template's, float64 [rows · columns, 2], row by row; matrix: where a model saw it, template → picture,
    to about half a spacing. A grid that was seen one string off is moved by that string. None where no such grid of
    bright strings is to be seen.
    """
    lattice = points.reshape(*grid_shape, 2)
    seen = warp(matrix, points).reshape(*grid_shape, 2)
    if not np.isfinite(seen).all():
        return None
    side = float(np.hypot(*(seen[0, -1] - seen[0, 0])) + np.hypot(*(seen[-1, 0] - seen[0, 0]))) / 2
    if side < 16 * max(grid_shape):
        return None
    gray, scale = shrunk(whiteness(image), side)
    into = np.array([[scale, 0, -0.5], [0, scale, -0.5], [0, 0, 1]])
    families = (strings_of(lattice), strings_of(lattice.transpose(1, 0, 2)))
    view = into @ matrix
    spacing = min(float(np.median(_spacing(family, view))) for family in families)
    ridges = Ridges(gray, spacing)
    found = _found(ridges, families, lattice, view)
    if found is None:
        return None
    at, share = crossings(ridges, lattice, families, found)
    back = np.linalg.inv(into)
    return Refined((at + 0.5) / scale, share, back @ found)


def _spacing(family: Strings, view: Matrix) -> NDArray[np.float64]:
    flat = (part.reshape(-1, 2) for part in (family.points, family.along, family.beside))
    return seen_through(view, *flat).spacing


def _found(ridges: Ridges, families: tuple[Strings, Strings], lattice: Points, view: Matrix) -> Matrix | None:
    """The view that most strings bear out, every one in its slot."""
    best, most = None, _LEAST_SOUND
    for right, down in _STARTS:
        found, support = _followed(ridges, families, view @ shift(lattice, right, down))
        if found is not None and support >= most:
            moved = shift_of(ridges, lattice, found)
            if moved is not None:
                found, support = _followed(ridges, families, found @ moved)
        if found is not None and support >= most:
            best, most = found, support
            if support >= _SOUND:
                break
    return best


def _followed(ridges: Ridges, families: tuple[Strings, Strings], view: Matrix) -> tuple[Matrix | None, float]:
    """The view through the strings, first by whole strings in wide strips, then place by place in narrow ones; and at
    what share of the places a string is seen."""
    better: Matrix | None = view
    for reach in _REACH:
        better = _by_strings(ridges, families, view, reach)
        if better is None:
            return None, 0.0
        view = better
    support = 0.0
    for reach in _FINE:
        better, support = _by_places(ridges, families, view, reach)
        if better is None:
            return None, 0.0
        view = better
    return view, support


def _by_strings(ridges: Ridges, families: tuple[Strings, Strings], view: Matrix, reach: float) -> Matrix | None:
    parts = []
    for family in families:
        strings, places = family.points.shape[:2]
        flat = [part.reshape(-1, 2) for part in (family.points, family.along, family.beside)]
        seen = seen_through(view, *flat)
        half = max(3, int(reach * float(np.median(seen.spacing))))
        offsets = np.arange(-half, half + 1, dtype=np.float64)
        scores = ridges.capped(seen, offsets).reshape(strings, places, -1)
        ends, height = straight_lines(scores, family.share, max(1, half // 24))
        away = offsets[ends[:, :1]] * (1 - family.share) + offsets[ends[:, 1:]] * family.share
        weight = np.repeat(np.clip(height, 0, None) ** 2, places)
        parts.append((flat[0], seen, away.ravel(), weight.astype(np.float64)))
    return nudged(view, parts, least_spread=1.5)


def _by_places(
    ridges: Ridges, families: tuple[Strings, Strings], view: Matrix, reach: float
) -> tuple[Matrix | None, float]:
    parts = []
    supported = []
    for family in families:
        flat = [part.reshape(-1, 2) for part in (family.points, family.along, family.beside)]
        seen = seen_through(view, *flat)
        half = max(_LEAST_FINE_PX, reach * float(np.median(seen.spacing)))
        offsets = np.arange(-np.ceil(half), np.ceil(half) + 1)
        where, height = peaks(ridges.across(seen, offsets))
        good = (height > LEAST_RIDGE) & (where > 0) & (where < len(offsets) - 1)
        supported.append(good.mean())
        parts.append((flat[0], seen, offsets[0] + where, good.astype(np.float64)))
    if min(supported) < _LEAST_SUPPORT:
        return None, 0.0
    better = nudged(view, parts, least_spread=0.4)
    if better is None or not keeps_side(better, np.concatenate([family.points.reshape(-1, 2) for family in families])):
        return None, 0.0
    return better, float(np.mean(supported))
