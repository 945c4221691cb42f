"""Pieces of a picture that the network sees at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MULTIPLE = 8
"""LaMa halves its input three times."""


@dataclass(frozen=True, slots=True)
class Tile:
    """seen: y1 x1 y2 x2 of what the network sees; kept: of what is taken from its answer. All exclusive at the end."""

    seen: tuple[int, int, int, int]
    kept: tuple[int, int, int, int]


def tiles_of(mask: NDArray[np.uint8], side: int, margin: int) -> Iterator[Tile]:
    """The tiles that cover what is masked: the whole picture where it is no larger than `side` pixels a side.

    Larger ones are cut into pieces of at most `side`, of which `margin` pixels on each inner edge are context only.
    Pieces without a masked pixel to keep are left out.
    """
    height, width = mask.shape
    for top, bottom in _cuts(height, side, margin):
        for left, right in _cuts(width, side, margin):
            if not mask[top:bottom, left:right].any():
                continue
            upper, lower = _widened(top, bottom, height, margin)
            first, last = _widened(left, right, width, margin)
            yield Tile((upper, first, lower, last), (top, left, bottom, right))


def _widened(start: int, end: int, length: int, margin: int) -> tuple[int, int]:
    """With context on both sides, to a multiple of 8 where the picture has the pixels: they are better than padding.

    It begins at a multiple of 8 as well: halved three times, a piece then has the pixels that the whole would have.
    """
    start, end = max(0, start - margin), min(length, end + margin)
    start -= start % MULTIPLE
    end += min(length - end, -(end - start) % MULTIPLE)
    return start, end


def _cuts(length: int, side: int, margin: int) -> Iterator[tuple[int, int]]:
    """Equal pieces, as few as possible, that with their margins are no longer than `side`."""
    if length <= side:
        yield 0, length
        return
    pieces = -(-length // (side - 2 * margin - 2 * MULTIPLE))
    for number in range(pieces):
        yield length * number // pieces, length * (number + 1) // pieces


def padded(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`array` [H, W, …] mirrored at its right and lower edge to multiples of 8 pixels."""
    down, right = -array.shape[0] % MULTIPLE, -array.shape[1] % MULTIPLE
    if not down and not right:
        return array
    return np.pad(array, ((0, down), (0, right), *((0, 0),) * (array.ndim - 2)), mode="symmetric")
