"""The ideal positions of a quadrat's points, and the turns and mirrorings that map them onto themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from predictors.common.errors import WeightsError

Points = NDArray[np.float64]
_AROUND = 8
_TOLERANCE = 0.1
"""How far a turned template may miss itself, in parts of its smallest spacing."""


@dataclass(frozen=True)
class Symmetry:
    """One way to lay the template onto itself: point i comes to lie where point `order[i]` lies.

    order: int64 [K]; linear: float64 [2, 2], the turn or mirroring about the template's centre.
    """

    order: NDArray[np.int64]
    linear: NDArray[np.float64]


@dataclass(frozen=True)
class Template:
    """points: float64 [K, 2], x to the right, y down, in any unit; neighbours: int64 [K], which point is nearest to
    each; around: int64 [K, A], the up to 8 nearest; spacing: the smallest distance between two; symmetries: the
    identity first."""

    points: Points
    neighbours: NDArray[np.int64]
    around: NDArray[np.int64]
    spacing: float
    symmetries: tuple[Symmetry, ...]

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def shape(self) -> tuple[int, int] | None:
        """Rows and columns where the points are a grid, row by row; else None."""
        apart = np.abs(self.points[:, 1] - self.points[0, 1]) > 0.5 * self.spacing
        columns = int(apart.argmax()) if apart.any() else len(self)
        rows = len(self) // columns
        if min(rows, columns) < 2 or rows * columns != len(self):
            return None
        grid = self.points.reshape(rows, columns, 2)
        even = np.ptp(grid[..., 0], axis=0).max() < 0.5 * self.spacing
        return (rows, columns) if even and np.ptp(grid[..., 1], axis=1).max() < 0.5 * self.spacing else None

    @property
    def centre(self) -> Points:
        """float64 [2]: the middle of the template's extent."""
        return np.asarray((self.points.min(axis=0) + self.points.max(axis=0)) / 2)


def make_template(points: Points) -> Template:
    """A template of float64 [K, 2]. Raises ValueError for points that no homography can be found from."""
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 4:
        raise ValueError(f"expected at least 4 points, an array [K, 2], got {list(points.shape)}")
    if not np.isfinite(points).all():
        raise ValueError("expected finite coordinates")
    extent = np.ptp(points, axis=0)
    if extent.min() <= 0:
        raise ValueError("expected points that do not lie on one line")
    distance, nearest = cKDTree(points).query(points, k=min(_AROUND + 1, len(points)))
    spacing = float(distance[:, 1].min())
    if spacing <= 1e-6 * extent.max():
        raise ValueError("expected points that differ from each other")
    nearest = np.asarray(nearest, np.int64)
    return Template(points, nearest[:, 1], nearest[:, 1:], spacing, tuple(_symmetries(points, spacing)))


def load_template(file: Path) -> Template:
    """Reads `.npy` [K, 2], or [1, K, 2] as some trainings leave it. WeightsError names what is wrong with the file."""
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise WeightsError(f"{file.name}: not a NumPy file with the template's points ({error})") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise WeightsError(f"{file.name}: expected numbers, the template's points [K, 2]")
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    try:
        return make_template(np.asarray(array, np.float64))
    except ValueError as error:
        raise WeightsError(f"{file.name}: {error}") from None


def _symmetries(points: Points, spacing: float) -> list[Symmetry]:
    centred = points - (points.min(axis=0) + points.max(axis=0)) / 2
    tree = cKDTree(centred)
    found = []
    for mirrored, quarter in product((1, -1), range(4)):
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter]
        linear = np.array([[cos, -sin], [sin, cos]], np.float64) @ np.diag([mirrored, 1.0])
        distance, order = tree.query(centred @ linear.T)
        if distance.max() <= _TOLERANCE * spacing and len(np.unique(order)) == len(points):
            found.append(Symmetry(np.asarray(order, np.int64), linear))
    return found
