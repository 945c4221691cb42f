"""A straight line through a strip of scores, by the vote of all its samples."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def straight_lines(scores: Floats, along: NDArray[np.float64], step: int) -> tuple[NDArray[np.int64], Floats]:
    """The best straight line through each strip: offsets at along 0 and 1, in samples, int64 [M, 2]; mean score [M].

    scores: float32 [M, P, Q], M strips of P places with Q offsets each, NaN where nothing is known (counted as 0);
    along: [P], 0..1; step: how finely offsets are tried.
    """
    strips, places, offsets = scores.shape
    index = _paths(tuple(along.tolist()), offsets, step)
    flat = np.nan_to_num(scores).reshape(strips, places * offsets)
    tried = len(range(0, offsets, step))
    ends = np.empty((strips, 2), np.int64)
    heights = np.empty(strips, np.float32)
    for strip in range(strips):
        votes = flat[strip].take(index).mean(axis=1)
        best = int(votes.argmax())
        ends[strip] = best // tried * step, best % tried * step
        heights[strip] = votes[best]
    return ends, heights


@lru_cache(maxsize=8)
def _paths(along: tuple[float, ...], offsets: int, step: int) -> NDArray[np.intp]:
    """For each pair of end offsets which flat sample of a strip lies on the line: [T · T, P], as numpy takes them."""
    tried = np.arange(0, offsets, step)
    share = np.array(along)
    place = tried[:, None, None] * (1 - share) + tried[None, :, None] * share
    index = np.rint(place).astype(np.int32) + np.arange(len(share), dtype=np.int32) * np.int32(offsets)
    return np.asarray(index.reshape(-1, len(share)), np.intp)
