"""Whether polygons cross or touch themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kelp.geometry.polygons import Polygons
from kelp.geometry.spans import Indices, chunks, offsets_of

Floats = NDArray[np.float64]

# Pairs of edges compared at a time: a ragged contour of a whole image has a hundred million.
_PAIRS = 1 << 20


def are_simple(polygons: Polygons) -> NDArray[np.bool_]:
    """Of each polygon whether it has an inside and neither crosses nor touches itself, bool [D].

    Exact for whole-number coordinates below 2**26. Fewer than 3 points are not simple.
    """
    simple = np.diff(polygons.offsets) >= 3
    edges = _edges(polygons)
    unclear = simple & ~_star_shaped(edges, np.diff(polygons.offsets))
    if unclear.any():
        simple[_meeting(edges.take(np.flatnonzero(unclear[edges.owner])))] = False
    return simple


def is_simple(points: ArrayLike) -> bool:
    """Whether one polygon [n, 2] has an inside and neither crosses nor touches itself."""
    return bool(are_simple(Polygons.of([points]))[0])


class _Edges(NamedTuple):
    """Edges from x, y to x + dx, y + dy, float64 [E] each, polygon by polygon.

    owner: int64, which polygon; after: int64, number of the next edge in this list
    """

    owner: Indices
    after: Indices
    x: Floats
    y: Floats
    dx: Floats
    dy: Floats

    def take(self, chosen: Indices) -> _Edges:
        """Only some polygons: all edges of each."""
        moved = np.zeros(len(self.x), np.int64)
        moved[chosen] = np.arange(len(chosen))
        after = moved[self.after[chosen]]
        return _Edges(self.owner[chosen], after, self.x[chosen], self.y[chosen], self.dx[chosen], self.dy[chosen])


def _edges(polygons: Polygons) -> _Edges:
    after = polygons.next_point()
    x, y = polygons.points.T.astype(np.float64)
    return _Edges(polygons.instance, after, x, y, x[after] - x, y[after] - y)


def _star_shaped(edges: _Edges, counts: Indices) -> NDArray[np.bool_]:
    """Polygons that wind once, always forward, around the mean of their points: most outlines, and cheap to know."""
    owner, least = edges.owner, np.maximum(counts, 1)
    x = edges.x - np.repeat(np.bincount(owner, edges.x, len(counts)) / least, counts)
    y = edges.y - np.repeat(np.bincount(owner, edges.y, len(counts)) / least, counts)
    # The mean of points is rounded: near zero nothing is certain.
    unsure = x * edges.dy - y * edges.dx <= 1e-6 * (np.abs(x) + np.abs(y) + np.abs(edges.dx) + np.abs(edges.dy) + 1)
    backward = np.bincount(owner[unsure], minlength=len(counts)) > 0
    # Turning forward all the way, the points pass the ray to the right once a turn.
    passes = np.bincount(owner[(y < 0) & (y[edges.after] >= 0)], minlength=len(counts))
    star: NDArray[np.bool_] = ~backward & (passes == 1)
    return star


def _meeting(edges: _Edges) -> Indices:
    """Polygons of which two edges meet where they should not."""
    # Neighbours share a point by right. They meet beyond it only if one runs back along the other.
    next_dx, next_dy = edges.dx[edges.after], edges.dy[edges.after]
    back = (edges.dx * next_dy == edges.dy * next_dx) & (edges.dx * next_dx + edges.dy * next_dy <= 0)
    meeting = [edges.owner[back]]
    for i, j in _near(edges):
        apart = (edges.after[i] != j) & (edges.after[j] != i)
        i, j = i[apart], j[apart]
        crossing = _straddles(edges, i, j) & _straddles(edges, j, i)
        meeting.append(edges.owner[i[crossing]])
    return np.concatenate(meeting)


def _straddles(edges: _Edges, i: Indices, j: Indices) -> NDArray[np.bool_]:
    """Whether the ends of edges j lie on the line of edges i or on both sides of it."""
    dx, dy = edges.dx[i], edges.dy[i]
    x, y = edges.x[j] - edges.x[i], edges.y[j] - edges.y[i]
    start = dx * y - dy * x
    end = dx * (y + edges.dy[j]) - dy * (x + edges.dx[j])
    straddles: NDArray[np.bool_] = ((start <= 0) | (end <= 0)) & ((start >= 0) | (end >= 0))
    return straddles


def _near(edges: _Edges) -> Iterator[tuple[Indices, Indices]]:
    """Pairs of edges of one polygon whose boxes overlap or touch, some at a time."""
    left, right = edges.x + np.minimum(edges.dx, 0), edges.x + np.maximum(edges.dx, 0)
    top, bottom = edges.y + np.minimum(edges.dy, 0), edges.y + np.maximum(edges.dy, 0)
    # Polygons side by side on one line, so that one sorted list serves all.
    shift = edges.owner * (float(right.max() - left.min()) + 1)
    left += shift
    right += shift
    order = np.argsort(left)
    top, bottom = top[order], bottom[order]
    stop = np.searchsorted(left[order], right[order], side="right")
    # Each edge against those that begin before it ends: number k against k + 1 to stop[k].
    pairs = stop - np.arange(len(stop)) - 1
    for part in chunks(pairs, _PAIRS):
        counts = pairs[part]
        begins = offsets_of(counts)
        one = np.repeat(np.arange(part.start, part.stop), counts)
        other = np.arange(begins[-1]) - np.repeat(begins[:-1], counts) + one + 1
        touch = np.flatnonzero((top[one] <= bottom[other]) & (top[other] <= bottom[one]))
        yield order[one[touch]], order[other[touch]]
