"""From a model's small mask grid to spans in the original image, without ever making the large mask.

Between two columns of the grid a bilinear value changes along a row in a straight line, so a row of the original can
switch between unset and set only once there. Each row is blended once, at the grid's width, and where its values
change sign the pixel is computed: the work grows with outlines, not with areas. The result is, to the last pixel,
that of enlarging the whole grid (rows first, then columns) in float32 and cutting each box out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kelp.geometry.boxes import pixel_boxes
from kelp.geometry.spans import Indices, MaskSpans, chunks, joined, offsets_of

Grid = NDArray[np.float32]
GridPart = Callable[[int, slice, slice], Grid]
"""(instance, rows, columns) → that part of the instance's grid, above the threshold positive, float32."""

# Values blended at a time: they should stay in the processor's own memory.
_CHUNK = 1 << 17


class Taps(NamedTuple):
    """For each of n pixels along one axis the two grid cells it lies between.

    lower, upper: int64 [n]; weight: float32 [n] of the upper cell, 0..1; begins: int64 [cells + 1], the first pixel
    whose lower cell is at least this one; scale: cells per pixel.
    """

    lower: Indices
    upper: Indices
    weight: NDArray[np.float32]
    begins: Indices
    scale: float


def taps(cells: int, pixels: int) -> Taps:
    """Bilinear taps with pixel centres aligned (`align_corners=False`) and the outermost cells continued outwards."""
    scale = cells / pixels
    place = np.clip((np.arange(pixels) + 0.5) * scale - 0.5, 0, cells - 1)
    lower = place.astype(np.int64)
    weight = (place - lower).astype(np.float32)
    return Taps(lower, np.minimum(lower + 1, cells - 1), weight, np.searchsorted(lower, np.arange(cells + 1)), scale)


def spans_of_grids(
    grids: NDArray[Any], size_hw: tuple[int, int], boxes: ArrayLike | None = None, threshold: float = 0.0
) -> MaskSpans:
    """Spans of D masks at the model's size, grids [D, h, w] that cover the whole image of `size_hw`.

    Pixels are set where the enlarged value is above `threshold`: 0 for logits, 0.5 for probabilities and bool masks;
    never where it is not a number.
    `boxes`: float half-open boxes [D, 4] in pixels of the image; nothing is set outside (see `pixel_boxes`).
    Raises ValueError where shapes disagree or boxes are not finite.
    """
    if grids.ndim != 3 or 0 in grids.shape[1:]:
        raise ValueError(f"grids: expected [D, h, w], got {list(grids.shape)}")
    limits = np.tile((0, 0, size_hw[1], size_hw[0]), (len(grids), 1)) if boxes is None else pixel_boxes(boxes, size_hw)
    if limits.shape != (len(grids), 4):
        raise ValueError(f"boxes: expected [{len(grids)}, 4], got {list(limits.shape)}")

    def part(instance: int, rows: slice, columns: slice) -> Grid:
        cut = grids[instance, rows, columns].astype(np.float32, copy=False)
        return cut - np.float32(threshold) if threshold else cut

    return scan(part, grids.shape[1:], size_hw, limits)


def scan(part: GridPart, grid_hw: tuple[int, ...], size_hw: tuple[int, int], boxes: NDArray[np.int32]) -> MaskSpans:
    """Spans of the positive pixels inside half-open integer `boxes` [D, 4] of grids that `part` hands out."""
    rows, columns = taps(grid_hw[0], size_hw[0]), taps(grid_hw[1], size_hw[1])
    found = [_switches(chunk, columns) for chunk in _blended(part, rows, columns, boxes)]
    if not found:
        nothing = np.empty(0, np.int32)
        return MaskSpans(size_hw, np.zeros(len(boxes) + 1, np.int64), nothing, nothing, nothing)
    instance, y, x = (np.concatenate(values) for values in zip(*found, strict=True))
    return joined(instance[::2], y[::2], x[::2], x[1::2], len(boxes), size_hw)


class _Blended(NamedTuple):
    """Rows of k instances at the height of the image and the width of the grid, each between two cells of -1.

    values: float32 [n], instance after instance; the others int64 [k]
    instance: whose it is; offset: where it begins in values; stride: length of a row
    first_cell: grid column of a row's first value; x1, y1, x2: sides of its box
    """

    values: NDArray[np.float32]
    instance: Indices
    offset: Indices
    stride: Indices
    first_cell: Indices
    x1: Indices
    y1: Indices
    x2: Indices


def _blended(part: GridPart, rows: Taps, columns: Taps, boxes: NDArray[np.int32]) -> Iterator[_Blended]:
    x1, y1, x2, y2 = boxes.astype(np.int64).T
    filled = np.flatnonzero((x2 > x1) & (y2 > y1))
    x1, y1, x2, y2 = x1[filled], y1[filled], x2[filled], y2[filled]
    left, right = columns.lower[x1], columns.upper[x2 - 1] + 1
    top, bottom = rows.lower[y1], rows.upper[y2 - 1] + 1
    stride = right - left + 2
    sizes = (y2 - y1) * stride
    rest = np.float32(1) - rows.weight
    for chunk in chunks(sizes, _CHUNK):
        offset = offsets_of(sizes[chunk])
        values = np.empty(offset[-1], np.float32)
        cuts = np.stack((filled, y1, y2, top, bottom, left, right, stride), 1)[chunk].tolist()
        for cut, start, stop in zip(cuts, offset[:-1].tolist(), offset[1:].tolist(), strict=True):
            instance, first, last, up, down, begin, end, wide = cut
            # The cells of -1 are blended with the rest: adding them here keeps everything after in one piece.
            grid = np.full((down - up, wide), -1, np.float32)
            grid[:, 1:-1] = part(instance, slice(up, down), slice(begin, end))
            blended = values[start:stop].reshape(-1, wide)
            grid.take(rows.lower[first:last] - up, axis=0, out=blended, mode="clip")
            blended *= rest[first:last, None]
            upper = grid.take(rows.upper[first:last] - up, axis=0, mode="clip")
            upper *= rows.weight[first:last, None]
            blended += upper
        if not np.isfinite(values).all():
            np.nan_to_num(values, copy=False, nan=-1)
        yield _Blended(values, filled[chunk], offset[:-1], stride[chunk], left[chunk], x1[chunk], y1[chunk], x2[chunk])


def _switches(rows: _Blended, columns: Taps) -> tuple[Indices, NDArray[np.int32], NDArray[np.int32]]:
    """Instance, row and column of every switch between unset and set: starts and ends in turn."""
    values = rows.values
    positive = values > 0
    at = np.flatnonzero(positive[1:] != positive[:-1])
    counts = np.diff(np.searchsorted(at, rows.offset), append=len(at))
    stride = np.repeat(rows.stride, counts)
    row, place = np.divmod(at - np.repeat(rows.offset, counts), stride)
    x1, x2 = np.repeat(rows.x1, counts), np.repeat(rows.x2, counts)
    cell = place + np.repeat(rows.first_cell - 1, counts)
    x = _crossing(values[at], values[at + 1], cell, columns)
    # The cells of -1 stand for the box's own edges.
    x = np.where(place == 0, x1, np.where(place == stride - 2, x2, np.minimum(np.maximum(x, x1), x2)))
    row += np.repeat(rows.y1, counts)
    return np.repeat(rows.instance, counts), row.astype(np.int32), x.astype(np.int32)


def _crossing(a: NDArray[np.float32], b: NDArray[np.float32], cell: Indices, columns: Taps) -> Indices:
    """First pixel between cells `cell` and `cell + 1`, of values a and b of unlike sign, that has the sign of b.

    Float32 blending switches within a millionth of a cell of where exact arithmetic does. Only where that leaves two
    pixels open are they looked at; blending never falls where it should rise, so these two settle it.
    """
    share = a / (a.astype(np.float64) - b)
    place = (cell + share + 0.5) / columns.scale - 0.5
    x = np.ceil(place).astype(np.int64)
    open_ones = np.flatnonzero(np.abs(place - np.rint(place)) < 1e-6 / columns.scale + 1e-9)
    if len(open_ones):
        x[open_ones] = _settled(x[open_ones], a[open_ones], b[open_ones], cell[open_ones], columns)
    return x


def _settled(x: Indices, a: NDArray[np.float32], b: NDArray[np.float32], cell: Indices, columns: Taps) -> Indices:
    cell = np.clip(cell, 0, len(columns.begins) - 2)
    low, high = columns.begins[cell], columns.begins[cell + 1]
    x = np.clip(x, low, high)
    rises = b > 0
    before = np.maximum(x - 1, 0)
    x -= (x > low) & (_is_set(a, b, columns.weight[before]) == rises)
    now = np.minimum(x, len(columns.weight) - 1)
    x += (x < high) & (_is_set(a, b, columns.weight[now]) != rises)
    return x


def _is_set(a: NDArray[np.float32], b: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.bool_]:
    is_set: NDArray[np.bool_] = a * (np.float32(1) - weight) + b * weight > 0
    return is_set
