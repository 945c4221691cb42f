"""Whether polygons cross or touch themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kelp.geometry.polygons import Polygons
from kelp.geometry.spans import Indices, offsets_of


def are_simple(polygons: Polygons) -> NDArray[np.bool_]:
    """Of each polygon whether it has an inside and neither crosses nor touches itself, bool [D].

    Exact for whole-number coordinates below 2**26. Fewer than 3 points are not simple.
    """
    simple = np.diff(polygons.offsets) >= 3
    here, there = polygons.points.astype(np.float64), polygons.following().astype(np.float64)
    unclear = simple & ~_star_shaped(polygons, here, there)
    if unclear.any():
        simple &= ~_meets_itself(polygons, here, there, unclear)
    return simple


def is_simple(points: ArrayLike) -> bool:
    """Whether one polygon [n, 2] has an inside and neither crosses nor touches itself."""
    return bool(are_simple(Polygons.of([points]))[0])


def _star_shaped(polygons: Polygons, here: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Polygons that wind once, always forward, around the mean of their points: most outlines, and cheap to know."""
    counts = np.maximum(np.diff(polygons.offsets), 1)
    owner = polygons.instance
    middle = np.stack([np.bincount(owner, here[:, axis], len(counts)) / counts for axis in (0, 1)], 1)[owner]
    a, b = here - middle, there - middle
    cross = _cross(a, b)
    # The mean of points is rounded: near zero nothing is certain.
    sure = cross > 1e-6 * (np.abs(a).sum(1) + np.abs(b).sum(1) + 1)
    backward = np.bincount(owner[~sure], minlength=len(counts)) > 0
    # Turning forward all the way, the points pass the ray to the right once a turn.
    passes = np.bincount(owner[(a[:, 1] < 0) & (b[:, 1] >= 0)], minlength=len(counts))
    star: NDArray[np.bool_] = ~backward & (passes == 1)
    return star


def _meets_itself(
    polygons: Polygons, here: NDArray[np.float64], there: NDArray[np.float64], unclear: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    owner = polygons.instance
    edges = np.flatnonzero(unclear[owner])
    meets = np.zeros(len(polygons), np.bool_)
    first, second = _near(owner, here, there, edges)
    offsets = polygons.offsets
    last = offsets[owner[first] + 1] - 1
    # Neighbours share a point by right; they meet beyond it only if one runs back along the other.
    follows = second == first + 1
    closes = (first == offsets[owner[first]]) & (second == last)
    apart = ~(follows | closes)
    i, j = first[apart], second[apart]
    a, b, c, d = here[i], there[i], here[j], there[j]
    one = np.sign(_cross(b - a, c - a)) * np.sign(_cross(b - a, d - a))
    other = np.sign(_cross(d - c, a - c)) * np.sign(_cross(d - c, b - c))
    meets[owner[i[(one <= 0) & (other <= 0)]]] = True
    # Every edge against the next one of its polygon, found near each other or not.
    step = (there - here)[edges]
    after = edges + 1
    ends = np.flatnonzero(after == offsets[owner[edges] + 1])
    after[ends] = offsets[owner[edges[ends]]]
    next_step = (there - here)[after]
    back = (_cross(step, next_step) == 0) & ((step * next_step).sum(1) <= 0)
    meets[owner[edges[back]]] = True
    return meets


def _near(
    owner: Indices, here: NDArray[np.float64], there: NDArray[np.float64], edges: Indices
) -> tuple[Indices, Indices]:
    """Pairs of edges of one polygon whose boxes overlap or touch, the one with the smaller number first."""
    low, high = np.minimum(here, there)[edges], np.maximum(here, there)[edges]
    # Polygons side by side on one line, so that one sorted list serves all.
    span = float(high[:, 0].max() - low[:, 0].min()) + 1
    shift = owner[edges] * span
    left, right = low[:, 0] + shift, high[:, 0] + shift
    by_left = np.argsort(left, kind="stable")
    stop = np.searchsorted(left[by_left], right[by_left], side="right")
    counts = stop - np.arange(len(stop)) - 1
    begins = offsets_of(counts)
    one = np.repeat(np.arange(len(stop)), counts)
    other = np.arange(begins[-1]) - np.repeat(begins[:-1], counts) + one + 1
    one, other = by_left[one], by_left[other]
    touch = (low[one, 1] <= high[other, 1]) & (low[other, 1] <= high[one, 1])
    first, second = edges[one[touch]], edges[other[touch]]
    return np.minimum(first, second), np.maximum(first, second)


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product
