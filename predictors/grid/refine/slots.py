"""Whether a grid was followed one string off: then there is a string beyond its one end, and none at the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.grid.homography import Matrix
from predictors.grid.refine.lattice import seen_through, strings_of
from predictors.grid.refine.ridges import Ridges

Points = NDArray[np.float64]
_MARGIN = 0.15
_LOOK = np.arange(-2.0, 3.0)


def shift_of(ridges: Ridges, lattice: Points, view: Matrix) -> Matrix | None:
    """The move of the template, float64 [3, 3], that brings every string into its slot; None where all are there."""
    down = _best(_strengths(ridges, lattice, view))
    right = _best(_strengths(ridges, lattice.transpose(1, 0, 2), view))
    if not down and not right:
        return None
    return shift(lattice, right, down)


def shift(lattice: Points, right: float, down: float) -> Matrix:
    """The move of the template, float64 [3, 3], by so many strings."""
    rows, columns = lattice.shape[:2]
    step_down = (lattice[-1, 0] - lattice[0, 0]) / (rows - 1)
    step_right = (lattice[0, -1] - lattice[0, 0]) / (columns - 1)
    move = np.eye(3)
    move[:2, 2] = down * step_down + right * step_right
    return move


def _strengths(ridges: Ridges, lattice: Points, view: Matrix) -> NDArray[np.float64]:
    """How much of each string is to be seen, 0..1, with two on each side that should not be there: [rows + 4]."""
    family = strings_of(lattice, added=2)
    flat = (part.reshape(-1, 2) for part in (family.points, family.along, family.beside))
    ridge = np.nan_to_num(ridges.capped(seen_through(view, *flat), _LOOK))
    return np.asarray(ridge.max(axis=1).reshape(family.points.shape[:2]).mean(axis=1), np.float64)


def _best(strength: NDArray[np.float64]) -> int:
    """By how many strings, -1, 0 or 1, the grid should move."""
    strings = len(strength) - 4
    fits = []
    for shift in (-1, 0, 1):
        inside = strength[2 + shift : 2 + shift + strings]
        outside = strength[[1 + shift, 2 + shift + strings]]
        fits.append(float(inside.mean() - outside.mean()))
    best = int(np.argmax(fits))
    return best - 1 if fits[best] > fits[1] + _MARGIN else 0
