"""Outer contours of masks along pixel edges, for all instances at once.

The contour of a part never crosses or touches itself, and rasterising it gives the part back with its holes filled:
- parts are 4-connected, so pixels that only share a corner belong to different parts;
- inside one part such a corner is closed (the bay behind it is a hole), which keeps the contour from meeting itself.

How: consecutive rows whose spans overlap one to one form a block. In a block nothing has to be searched: the edges
run down its right sides and up its left ones. Only at the lines between blocks are ends matched, by sorting them: the
contour runs along such a line exactly where the rows above and below differ, that is between the 1st and 2nd end, the
3rd and 4th, and so on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kelp.geometry.polygons import Polygons
from kelp.geometry.spans import Indices, MaskSpans, offsets_of


def outer_contours(spans: MaskSpans) -> Polygons:
    """The outer contour of each instance's largest part, clockwise as seen, points int32 on pixel edges.

    The largest part is the one whose contour encloses most. An empty instance has no points; every other one has at
    least 4. Horizontal and vertical edges take turns, so there is no point that could be left out.
    """
    if not len(spans.y):
        return Polygons(np.zeros(len(spans) + 1, np.int64), np.empty((0, 2), np.int32))
    sides = _sides(spans)
    order, begins = _cycles(_successors(sides, spans.size_hw[1] + 1))
    if (pinches := _own_pinches(sides, order, begins, spans.size_hw[1] + 1)) is not None:
        order, begins = _cycles(_successors(sides, spans.size_hw[1] + 1, pinches))
    return _trace(spans, sides, *_largest(sides, order, begins))


class _Sides(NamedTuple):
    """The left and right sides of each column of spans in a block: side 2q is q's left, going up, 2q + 1 its right.

    first, step, length: the span a side begins at (its top one), from one of its spans to the next, how many
    instance: whose it is; area: what it adds to the area of the contour it belongs to
    top, bottom: line of its upper and of its lower end, one number over all instances; top_x, bottom_x: their columns
    """

    first: Indices
    step: Indices
    length: Indices
    instance: Indices
    area: Indices
    top: Indices
    bottom: Indices
    top_x: Indices
    bottom_x: Indices


def _sides(spans: MaskSpans) -> _Sides:
    instance = spans.instance
    # Lines of different instances never meet: one is left free between them.
    line = instance * (spans.size_hw[0] + 1) + spans.y
    row_first = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), line[1:] != line[:-1])))
    row_line = line[row_first]
    row_count = np.diff(row_first, append=len(line))
    new_block = ~_one_to_one(spans, row_first, row_line, row_count)
    block_row = np.flatnonzero(new_block)
    block_rows = np.diff(block_row, append=len(row_first))
    columns = row_count[block_row]
    begins = offsets_of(columns)
    block = np.repeat(np.arange(len(columns)), columns)
    top_span = row_first[block_row][block] + np.arange(begins[-1]) - begins[:-1][block]
    bottom_span = top_span + ((block_rows - 1) * columns)[block]
    row_block = np.cumsum(new_block) - 1
    column = np.arange(len(line)) - np.repeat(row_first - begins[:-1][row_block], row_count)
    width_left = np.bincount(column, spans.x1, len(block)).astype(np.int64)
    width_right = np.bincount(column, spans.x2, len(block)).astype(np.int64)
    return _Sides(
        first=np.repeat(top_span, 2),
        step=np.repeat(columns[block], 2),
        length=np.repeat(block_rows[block], 2),
        instance=np.repeat(instance[top_span], 2),
        area=_pairs(-width_left, width_right),
        top=np.repeat(row_line[block_row][block], 2),
        bottom=np.repeat((row_line[block_row] + block_rows)[block], 2),
        top_x=_pairs(spans.x1[top_span], spans.x2[top_span]),
        bottom_x=_pairs(spans.x1[bottom_span], spans.x2[bottom_span]),
    )


def _one_to_one(spans: MaskSpans, row_first: Indices, row_line: Indices, row_count: Indices) -> NDArray[np.bool_]:
    """Of each row whether it continues the row before it span by span."""
    continues = np.zeros(len(row_first), np.bool_)
    continues[1:] = (row_line[1:] == row_line[:-1] + 1) & (row_count[1:] == row_count[:-1])
    count = np.repeat(row_count, row_count)
    below = np.minimum(np.arange(len(count)) + count, len(count) - 1)
    meets = (spans.x1 < spans.x2[below]) & (spans.x1[below] < spans.x2)
    # A neighbour must stay clear of the other's span, its corner included.
    clear = (spans.x2[:-1] < spans.x1[below[1:]]) & (spans.x2[below[:-1]] < spans.x1[1:])
    clear[row_first[1:] - 1] = True
    meets[:-1] &= clear
    row = np.repeat(np.arange(len(row_first)), row_count)
    bad = row[~meets] + 1
    continues[bad[bad < len(continues)]] = False
    return continues


def _ends(sides: _Sides, stride: int) -> tuple[Indices, Indices]:
    """Both ends of every side, sorted by line and column: their places, and end numbers (bottoms after all tops)."""
    right = np.arange(len(sides.top)) % 2
    # At one corner the right side of a span comes before the left side of another: this keeps the two parts apart.
    tops = (sides.top * stride + sides.top_x) * 2 + 1 - right
    bottoms = (sides.bottom * stride + sides.bottom_x) * 2 + 1 - right
    keys = np.concatenate((tops, bottoms))
    # Two rising sequences: a stable sort only has to merge them.
    order = np.argsort(keys, kind="stable")
    return keys[order] // 2, order


def _successors(sides: _Sides, stride: int, pinches: Indices | None = None) -> list[int]:
    """The side that follows each side; at the given pinches (numbers of an end) the contour stays on one part's bay."""
    order = _ends(sides, stride)[1]
    if pinches is not None:
        order[pinches], order[pinches + 1] = order[pinches + 1], order[pinches]
    count = len(sides.top)
    one, other = order[0::2], order[1::2]
    # A contour leaves right sides at the bottom and left sides at the top.
    one_leaves = (one >= count) == (one % count % 2 == 1)
    following = np.empty(count, np.int64)
    following[np.where(one_leaves, one, other) % count] = np.where(one_leaves, other, one) % count
    successors: list[int] = following.tolist()
    return successors


def _own_pinches(sides: _Sides, order: Indices, begins: Indices, stride: int) -> Indices | None:
    """Numbers of the ends where a contour meets itself at a corner; None where none does."""
    places, ends = _ends(sides, stride)
    corners = np.flatnonzero(places[1:-1:2] == places[2::2]) * 2 + 1
    if not len(corners):
        return None
    contour = np.empty(len(order), np.int64)
    contour[order] = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(order)))
    count = len(sides.top)
    own = corners[contour[ends[corners] % count] == contour[ends[corners + 1] % count]]
    return own if len(own) else None


def _cycles(successors: list[int]) -> tuple[Indices, Indices]:
    """All sides contour by contour, int64 [n], and where in it each contour begins."""
    order: list[int] = []
    begins: list[int] = []
    unseen = bytearray(b"\x01") * len(successors)
    for first in range(len(successors)):
        if unseen[first]:
            begins.append(len(order))
            side = first
            while unseen[side]:
                unseen[side] = 0
                order.append(side)
                side = successors[side]
    return np.array(order, np.int64), np.array(begins, np.int64)


def _largest(sides: _Sides, order: Indices, begins: Indices) -> tuple[Indices, Indices, Indices]:
    """The sides of each instance's largest contour: sides, where each contour begins in them, whose it is."""
    area = np.add.reduceat(sides.area[order], begins)
    owner = sides.instance[order[begins]]
    # Contours were found in the order of their first span, so those of one instance follow each other.
    group = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), owner[1:] != owner[:-1])))
    best = np.repeat(np.maximum.reduceat(area, group), np.diff(group, append=len(owner)))
    candidates = np.flatnonzero(area == best)
    chosen = candidates[np.unique(owner[candidates], return_index=True)[1]]
    lengths = np.diff(begins, append=len(order))[chosen]
    starts = offsets_of(lengths)
    picked = order[np.arange(starts[-1]) + np.repeat(begins[chosen] - starts[:-1], lengths)]
    return picked, starts, owner[chosen]


def _trace(spans: MaskSpans, sides: _Sides, chosen: Indices, starts: Indices, owner: Indices) -> Polygons:
    lengths = sides.length[chosen]
    begins = offsets_of(lengths)
    goes_down = chosen % 2 == 1
    # A right side is walked from its first span down, a left one from its last span up.
    step = np.where(goes_down, sides.step[chosen], -sides.step[chosen])
    first = np.where(goes_down, sides.first[chosen], sides.first[chosen] + (lengths - 1) * sides.step[chosen])
    span = np.repeat(first - begins[:-1] * step, lengths) + np.arange(begins[-1]) * np.repeat(step, lengths)
    down = np.repeat(goes_down, lengths)
    x = np.where(down, spans.x2[span], spans.x1[span])
    leaves_at = spans.y[span] + down
    contour_begins = begins[starts]
    after = np.arange(1, len(x) + 1)
    after[contour_begins[1:] - 1] = contour_begins[:-1]
    next_x = x[after]
    # Where the column stays the same the edge goes straight on.
    turns = np.flatnonzero(next_x != x)
    points = np.empty((len(turns), 2, 2), np.int32)
    points[:, 0, 0] = x[turns]
    points[:, 1, 0] = next_x[turns]
    points[:, :, 1] = leaves_at[turns, None]
    counts = np.zeros(len(spans), np.int64)
    counts[owner] = 2 * np.diff(np.searchsorted(turns, contour_begins))
    return Polygons(offsets_of(counts), points.reshape(-1, 2))


def _pairs(left: NDArray[np.integer], right: NDArray[np.integer]) -> Indices:
    both = np.empty(2 * len(left), np.int64)
    both[0::2], both[1::2] = left, right
    return both
