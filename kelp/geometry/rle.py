"""CVAT's masks on its annotations API: run lengths of a box, row-major, zeros first, then left, top, right, bottom.

The same numbers as `cvat_sdk.masks.encode_mask` and `decode_mask`; here for all instances of an image at once.
An instance without a pixel is what cvat-sdk makes of it: one unset pixel at 0, 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kelp.geometry.boxes import from_inclusive, to_inclusive
from kelp.geometry.spans import Indices, Ints, Mask, MaskSpans, joined, offsets_of, spans_of_crops

_BOX = 4


def encode_cvat_masks(spans: MaskSpans) -> tuple[Ints, Ints]:
    """Offsets int32 [D+1] and values int32 [R]: instance i is values[offsets[i]:offsets[i+1]].

    The boxes are the smallest ones around the pixels.
    """
    boxes = spans.bounds()
    empty = spans.counts == 0
    boxes[empty, 2:] = 1
    width = (boxes[:, 2] - boxes[:, 0]).astype(np.int64)
    total = width * (boxes[:, 3] - boxes[:, 1])
    counts = spans.counts
    stride = np.repeat(width, counts)
    shift = (spans.y - np.repeat(boxes[:, 1], counts)) * stride - np.repeat(boxes[:, 0], counts)
    edges = np.empty(2 * len(spans.y), np.int64)
    np.add(spans.x1, shift, out=edges[0::2])
    np.add(spans.x2, shift, out=edges[1::2])
    edge_offsets: Indices = 2 * spans.offsets
    # Rows follow each other: a span up to the right edge goes on at the left edge of the next row.
    meets = edges[1:-1:2] == edges[2::2]
    if meets.any():
        own_end = spans.offsets[1:-1]
        meets[own_end[(own_end > 0) & (own_end < len(spans.y))] - 1] = False
        keep = np.ones(len(edges), np.bool_)
        keep[1:-1:2] = keep[2::2] = ~meets
        edge_offsets = offsets_of(keep)[edge_offsets]
        edges = edges[keep]
    kept = np.diff(edge_offsets)
    last = np.zeros(len(spans), np.int64)
    last[~empty] = edges[edge_offsets[1:][~empty] - 1]
    rest = total - last
    lengths = np.diff(edges, prepend=0)
    lengths[edge_offsets[:-1][~empty]] = edges[edge_offsets[:-1][~empty]]
    offsets = offsets_of(kept + (rest > 0) + _BOX)
    values = np.empty(offsets[-1], np.int32)
    values[np.arange(len(edges)) + np.repeat(offsets[:-1] - edge_offsets[:-1], kept)] = lengths
    tail = offsets[1:] - _BOX
    values[tail[rest > 0] - 1] = rest[rest > 0]
    values[tail[:, None] + np.arange(_BOX)] = to_inclusive(boxes)
    return offsets.astype(np.int32), values


def decode_cvat_masks(offsets: ArrayLike, values: ArrayLike, size_hw: tuple[int, int]) -> MaskSpans:
    """Spans of CVAT masks: instance i is values[offsets[i]:offsets[i+1]], integers.

    Raises ValueError that names the instance: fewer than 5 numbers, a number that is no integer, a negative run, a box
    that is empty or out of the image, runs that do not add up to the box.
    """
    starts = np.asarray(offsets, np.int64)
    numbers = _integers(values)
    counts = np.diff(starts)
    if starts.ndim != 1 or not len(starts) or starts[0] != 0 or starts[-1] != len(numbers) or (counts < 0).any():
        raise ValueError(f"offsets: expected offsets that rise from 0 to {len(numbers)}")
    _refuse(counts < _BOX + 1, "expected one run length and a box at least")
    tail = starts[1:] - _BOX
    boxes = from_inclusive(numbers[tail[:, None] + np.arange(_BOX)])
    left, top, right, bottom = boxes.T.astype(np.int64)
    outside = (left < 0) | (top < 0) | (right <= left) | (bottom <= top) | (right > size_hw[1]) | (bottom > size_hw[0])
    _refuse(outside, f"the box is empty or out of the image {size_hw[1]}x{size_hw[0]}")
    in_box = np.ones(len(numbers), np.bool_)
    in_box[tail[:, None] + np.arange(_BOX)] = False
    runs = numbers[in_box]
    run_counts = counts - _BOX
    run_offsets = offsets_of(run_counts)
    owner = np.repeat(np.arange(len(counts)), run_counts)
    _refuse(np.bincount(owner[runs < 0], minlength=len(counts)) > 0, "a run length is negative")
    ends = np.cumsum(runs)
    before = np.concatenate((np.zeros(1, np.int64), ends))[run_offsets]
    width = right - left
    _refuse(np.diff(before) != width * (bottom - top), "the run lengths do not add up to the box")
    ends -= np.repeat(before[:-1], run_counts)
    position = np.arange(len(runs)) - np.repeat(run_offsets[:-1], run_counts)
    is_set = (position % 2 == 1) & (runs > 0)
    return _rows(owner[is_set], (ends - runs)[is_set], ends[is_set], left, top, width, size_hw)


def mask_to_cvat(mask: Mask) -> Ints:
    """CVAT's form of a full-size mask bool or uint8 [H, W], int32 [R]."""
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"mask: expected bool or uint8 [H, W], got {mask.dtype} {list(mask.shape)}")
    return encode_cvat_masks(spans_of_crops([(mask, 0, 0)], (mask.shape[0], mask.shape[1])))[1]


def cvat_to_mask(points: ArrayLike, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Full-size mask bool [H, W] of CVAT's form. Raises ValueError as `decode_cvat_masks` does."""
    numbers = np.asarray(points)
    return decode_cvat_masks((0, len(numbers)), numbers, size_hw).crop(0, (0, 0, size_hw[1], size_hw[0]))


def crop_to_cvat_rle(crop: Mask) -> Ints:
    """Run lengths of a whole crop bool or uint8 [h, w], row-major, zeros first, without a box, int32 [R]."""
    flat = crop.reshape(-1) != 0
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = np.concatenate((edges, np.full(min(flat.size, 1), flat.size)))
    lead = [0] if flat.size and flat[0] else []
    return np.concatenate((np.array(lead, np.int64), np.diff(ends, prepend=0))).astype(np.int32)


def cvat_rle_to_crop(runs: ArrayLike, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Crop bool [h, w] of run lengths without a box. Raises ValueError where they are negative or do not add up."""
    numbers = _integers(runs)
    if (numbers < 0).any():
        raise ValueError("run lengths: a run length is negative")
    if numbers.sum() != size_hw[0] * size_hw[1]:
        raise ValueError(f"run lengths: expected a sum of {size_hw[0] * size_hw[1]}, got {numbers.sum()}")
    return np.repeat(np.arange(len(numbers)) % 2 == 1, numbers).reshape(size_hw)


def _rows(
    owner: Indices,
    start: Indices,
    end: Indices,
    left: Indices,
    top: Indices,
    width: Indices,
    size_hw: tuple[int, int],
) -> MaskSpans:
    """Spans of stretches of the flattened boxes, cut at the ends of rows."""
    stride = width[owner]
    first, last = start // stride, (end - 1) // stride
    rows = last - first + 1
    begins = offsets_of(rows)
    row = np.arange(begins[-1]) - np.repeat(begins[:-1] - first, rows)
    x1, x2 = np.zeros(len(row), np.int64), np.repeat(stride, rows)
    x1[begins[:-1]] = start - first * stride
    x2[begins[1:] - 1] = end - last * stride
    instance = np.repeat(owner, rows)
    shift = left[instance]
    y = (row + top[instance]).astype(np.int32)
    return joined(instance, y, (x1 + shift).astype(np.int32), (x2 + shift).astype(np.int32), len(width), size_hw)


def _integers(values: ArrayLike) -> Indices:
    given = np.asarray(values)
    if given.size == 0:
        given = given.astype(np.int64)
    if given.ndim != 1 or given.dtype.kind not in "iuf":
        raise ValueError(f"run lengths: expected a list of integers, got {given.dtype} {list(given.shape)}")
    if given.dtype.kind == "f" and not (np.isfinite(given).all() and (given == np.floor(given)).all()):
        raise ValueError("run lengths: expected integers")
    if given.size and (given.max() > np.iinfo(np.int32).max or given.min() < np.iinfo(np.int32).min):
        raise ValueError("run lengths: expected numbers of 32 bits")
    return given.astype(np.int64)


def _refuse(bad: NDArray[np.bool_], reason: str) -> None:
    if bad.any():
        raise ValueError(f"mask {int(np.flatnonzero(bad)[0])}: {reason}")
