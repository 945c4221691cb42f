"""The strings of a grid as places on its template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.grid.homography import Matrix

Points = NDArray[np.float64]
_BETWEEN = (0.2, 0.4, 0.6, 0.8)
"""Where between two crossings a string is looked at: at the crossings themselves the other one is."""


@dataclass(frozen=True)
class Strings:
    """M strings of one direction at P places each.

    points: float64 [M, P, 2], in the template; along: [M, P, 2], to the string's next crossing; beside: [M, P, 2], to
    the next string; place: [P], in crossings (0 is the first); share: [P], 0..1; first: number of the first string, 0
    or, with strings added that do not exist, less.
    """

    points: Points
    along: Points
    beside: Points
    place: NDArray[np.float64]
    share: NDArray[np.float64]
    first: int = 0


def strings_of(lattice: Points, added: int = 0) -> Strings:
    """The strings along the rows of `lattice` [R, C, 2], and `added` more on each side, where none should be."""
    rows, columns = lattice.shape[:2]
    place = np.array([-0.4, -0.2] + [c + part for c in range(columns - 1) for part in _BETWEEN])
    place = np.append(place, [columns - 0.8, columns - 0.6])
    numbers = np.arange(-added, rows + added, dtype=np.float64)
    points = _at(lattice, numbers, place)
    along = _at(lattice, numbers, np.floor(place) + 1) - _at(lattice, numbers, np.floor(place))
    beside = _at(lattice, numbers + 1, place) - points
    share = (place - place[0]) / (place[-1] - place[0])
    return Strings(points, along, beside, place, share, -added)


def _at(lattice: Points, row: NDArray[np.float64], column: NDArray[np.float64]) -> Points:
    """The lattice at fractional rows [M] and columns [P], carried on beyond its ends: [M, P, 2]."""
    rows, columns = lattice.shape[:2]
    r = np.clip(np.floor(row).astype(int), 0, rows - 2)
    c = np.clip(np.floor(column).astype(int), 0, columns - 2)
    down, right = (row - r)[:, None, None], (column - c)[None, :, None]
    upper = (1 - right) * lattice[r][:, c] + right * lattice[r][:, c + 1]
    lower = (1 - right) * lattice[r + 1][:, c] + right * lattice[r + 1][:, c + 1]
    return np.asarray((1 - down) * upper + down * lower)


@dataclass(frozen=True)
class Seen:
    """Places of the template in the picture: at, normal: [S, 2] pixels, across the string; spacing: [S], pixels to the
    next string, across."""

    at: Points
    normal: Points
    spacing: NDArray[np.float64]


def seen_through(matrix: Matrix, points: Points, along: Points, beside: Points) -> Seen:
    """How strings lie in the picture: `points`, `along`, `beside` [S, 2] of the template."""
    raised = points @ matrix[:, :2].T + matrix[:, 2]
    at = raised[:, :2] / raised[:, 2:]
    direction, neighbour = (_carried(matrix, at, raised[:, 2:], vector) for vector in (along, beside))
    length = np.hypot(direction[:, 0], direction[:, 1])
    normal = np.column_stack([-direction[:, 1], direction[:, 0]]) / np.maximum(length, 1e-9)[:, None]
    return Seen(at, normal, np.abs((normal * neighbour).sum(axis=1)))


def _carried(matrix: Matrix, at: Points, depth: Points, vector: Points) -> Points:
    """A template vector at each place as it looks in the picture, float64 [S, 2]."""
    raised = vector @ matrix[:, :2].T
    return np.asarray((raised[:, :2] - at * raised[:, 2:]) / depth)
