"""Polygons of many instances as columns, and what can be asked of them: area, pixels inside, whether they cross.

Coordinates lie on pixel edges: pixel x, y is the square from x, y to x + 1, y + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kelp.geometry.spans import Indices, MaskSpans, joined, offsets_of


@dataclass(frozen=True, slots=True)
class Polygons:
    """D polygons, closed without repeating the first point.

    offsets: int64 [D+1], polygon i is points[offsets[i]:offsets[i+1]]; points: [V, 2] x y, any real dtype.
    """

    offsets: Indices
    points: NDArray[Any]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.points[self.offsets[row] : self.offsets[row + 1]]

    @classmethod
    def of(cls, polygons: Sequence[ArrayLike]) -> Polygons:
        """Columns of a list of polygons [n, 2]."""
        parts = [np.asarray(polygon).reshape(-1, 2) for polygon in polygons]
        points = np.concatenate(parts) if parts else np.empty((0, 2))
        return cls(offsets_of(np.array([len(part) for part in parts], np.int64)), points)

    @property
    def instance(self) -> Indices:
        """Polygon of each point, int64 [V]."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def next_point(self) -> Indices:
        """For each point the number of the next one of its polygon, int64 [V]."""
        after = np.arange(1, len(self.points) + 1)
        filled = np.flatnonzero(np.diff(self.offsets))
        after[self.offsets[filled + 1] - 1] = self.offsets[filled]
        return after

    def area(self) -> NDArray[np.float64]:
        """Signed areas in square pixels, float64 [D]; positive where the points run clockwise as seen (y down)."""
        x, y = self.points.T.astype(np.float64)
        after = self.next_point()
        total = np.concatenate((np.zeros(1), np.cumsum(x * y[after] - x[after] * y)))
        area: NDArray[np.float64] = np.diff(total[self.offsets]) / 2
        return area


def polygon_area(points: ArrayLike) -> float:
    """Area of one polygon [n, 2] in square pixels, never negative; 0 for fewer than 3 points."""
    return abs(float(Polygons.of([points]).area()[0]))


def spans_of_polygons(polygons: Polygons, size_hw: tuple[int, int]) -> MaskSpans:
    """The pixels of an image whose centre lies inside each polygon (even-odd), clipped to the image.

    A centre on the edge itself belongs to what is right of or below the edge. Raises ValueError for points that are
    not finite.
    """
    if not np.isfinite(polygons.points).all():
        raise ValueError("polygon: expected finite numbers")
    x1, y1 = polygons.points.T.astype(np.float64)
    after = polygons.next_point()
    x2, y2 = x1[after], y1[after]
    first, last = (_centres(np.minimum(y1, y2), size_hw[0]), _centres(np.maximum(y1, y2), size_hw[0]))
    rows = last - first
    begins = offsets_of(rows)
    edge = np.repeat(np.arange(len(rows)), rows)
    y = np.arange(begins[-1]) - np.repeat(begins[:-1] - first, rows)
    slope = np.divide(x2 - x1, y2 - y1, out=np.zeros_like(x1), where=y2 != y1)
    x = _centres(x1[edge] + (y + 0.5 - y1[edge]) * slope[edge], size_hw[1])
    # One integer a crossing, instance, row and column in it, sorts them all at once.
    stride = size_hw[1] + 1
    keys = np.sort((polygons.instance[edge] * size_hw[0] + y) * stride + x)
    line, column = np.divmod(keys, stride)
    instance, row = np.divmod(line[::2], max(size_hw[0], 1))
    return joined(
        instance,
        row.astype(np.int32),
        column[::2].astype(np.int32),
        column[1::2].astype(np.int32),
        len(polygons),
        size_hw,
    )


def polygon_to_mask(points: ArrayLike, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """One polygon [n, 2] as a full-size mask, bool [H, W]; see `spans_of_polygons`."""
    return spans_of_polygons(Polygons.of([points]), size_hw).crop(0, (0, 0, size_hw[1], size_hw[0]))


def _centres(edges: NDArray[np.float64], limit: int) -> Indices:
    """Number of the first pixel whose centre is at or beyond each place, within 0..limit."""
    return np.clip(np.ceil(edges - 0.5), 0, limit).astype(np.int64)
