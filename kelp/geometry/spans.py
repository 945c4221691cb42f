"""Masks of many instances as spans: for each row of pixels the stretches that are set.

Everything in this package meets here. Spans come from pixels, CVAT's run lengths, polygons or a model's small mask
grid, and go to any of these; an instance costs its outline, never its area, and no full-size mask is ever made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kelp.geometry.boxes import pixel_boxes

Ints = NDArray[np.int32]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_] | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class MaskSpans:
    """Masks of D instances in one image of `size_hw` (height, width), as S spans.

    offsets: int64 [D+1], the spans of instance i are offsets[i]:offsets[i+1]
    y, x1, x2: int32 [S], row and columns of a span, x2 exclusive; pixels of the image
    Spans rise by (instance, y, x1), lie in the image, are never empty and never touch in their row.
    """

    size_hw: tuple[int, int]
    offsets: Indices
    y: Ints
    x1: Ints
    x2: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Indices:
        """Spans of each instance, int64 [D]."""
        return np.diff(self.offsets)

    @property
    def instance(self) -> Indices:
        """Instance of each span, int64 [S]."""
        return np.repeat(np.arange(len(self)), self.counts)

    def area(self) -> Indices:
        """Set pixels of each instance, int64 [D]."""
        total = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.x2 - self.x1, dtype=np.int64)))
        return np.diff(total[self.offsets])

    def bounds(self) -> Ints:
        """Smallest half-open boxes x1 y1 x2 y2 around the pixels of each instance, int32 [D, 4]; zeros where empty."""
        boxes = np.zeros((len(self), 4), np.int32)
        filled = np.flatnonzero(self.counts)
        if len(filled):
            first = self.offsets[filled]
            boxes[filled, 0] = np.minimum.reduceat(self.x1, first)
            boxes[filled, 1] = self.y[first]
            boxes[filled, 2] = np.maximum.reduceat(self.x2, first)
            boxes[filled, 3] = self.y[self.offsets[filled + 1] - 1] + 1
        return boxes

    def take(self, instances: ArrayLike) -> MaskSpans:
        """The given instances (indices, or booleans [D]) in that order."""
        chosen = np.asarray(instances)
        chosen = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        counts = self.counts[chosen]
        offsets = offsets_of(counts)
        spans = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], counts)
        return MaskSpans(self.size_hw, offsets, self.y[spans], self.x1[spans], self.x2[spans])

    def crop(self, instance: int, box: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Pixels of one instance, bool [h, w], inside its bounds or inside `box` (x1 y1 x2 y2)."""
        own = slice(int(self.offsets[instance]), int(self.offsets[instance + 1]))
        y, x1, x2 = self.y[own], self.x1[own], self.x2[own]
        if box is None:
            box = (x1.min(), y[0], x2.max(), y[-1] + 1) if len(y) else (0, 0, 0, 0)
        left, top, right, bottom = (int(side) for side in box)
        right = max(left, right)
        height, width = max(bottom - top, 0), right - left
        inside = (y >= top) & (y < bottom)
        row = (y[inside] - top).astype(np.int64) * width - left
        edges = np.zeros(2 * len(row) + 2, np.int64)
        edges[1:-1:2] = row + np.clip(x1[inside], left, right)
        edges[2:-1:2] = row + np.clip(x2[inside], left, right)
        edges[-1] = height * width
        # Lengths in turn unset and set; those of spans outside the box come out as 0.
        turns = np.arange(len(edges) - 1) % 2 == 1
        return np.repeat(turns, np.diff(edges)).reshape(height, width)

    def crops(self) -> list[tuple[NDArray[np.bool_], int, int]]:
        """Of each instance: pixels inside its bounds, bool [h, w], and the x and y of the crop's left upper pixel."""
        return [(self.crop(i, box), box[0], box[1]) for i, box in enumerate(self.bounds().tolist())]

    def masks(self) -> NDArray[np.bool_]:
        """Full-size masks, bool [D, H, W]: for tests and pictures."""
        box = (0, 0, self.size_hw[1], self.size_hw[0])
        return (
            np.stack([self.crop(i, box) for i in range(len(self))]) if len(self) else np.empty((0, *self.size_hw), bool)
        )


def spans_of_crops(crops: Iterable[tuple[Mask, int, int]], size_hw: tuple[int, int]) -> MaskSpans:
    """Spans of crops (pixels bool or uint8 [h, w], non-zero = set; x and y of the left upper pixel in the image).

    Raises ValueError where a crop is no such array or reaches out of the image.
    """
    found: list[tuple[Indices, int, int, int]] = []
    for number, (pixels, x, y) in enumerate(crops):
        given = as_bytes(pixels, f"crop {number}")
        height, width = given.shape
        if x < 0 or y < 0 or x + width > size_hw[1] or y + height > size_hw[0]:
            raise ValueError(
                f"crop {number}: {width}x{height} at {x},{y} reaches out of the image {size_hw[1]}x{size_hw[0]}"
            )
        is_set = given if pixels.dtype == np.bool_ else (given != 0).view(np.uint8)
        found.append((_toggles(is_set), width + 1, x, y))
    return _assemble(found, size_hw)


def spans_of_masks(masks: Mask, boxes: ArrayLike | None = None) -> MaskSpans:
    """Spans of full-size masks bool or uint8 [D, H, W], non-zero = set.

    `boxes`: half-open boxes [D, 4]; pixels outside are ignored (see `pixel_boxes`). Without them each mask is searched.
    Raises ValueError where an array has another shape or boxes are not finite.
    """
    if masks.ndim != 3:
        raise ValueError(f"masks: expected [D, H, W], got {list(masks.shape)}")
    size_hw = (masks.shape[1], masks.shape[2])
    if boxes is None:
        cuts = [mask_bounds(mask) for mask in masks]
    else:
        limits = pixel_boxes(boxes, size_hw)
        if limits.shape != (len(masks), 4):
            raise ValueError(f"boxes: expected [{len(masks)}, 4], got {list(limits.shape)}")
        cuts = [(x1, y1, x2, y2) for x1, y1, x2, y2 in limits.tolist()]
    crops = ((mask[y1:y2, x1:x2], x1, y1) for mask, (x1, y1, x2, y2) in zip(masks, cuts, strict=True))
    return spans_of_crops(crops, size_hw)


def mask_bounds(mask: Mask) -> tuple[int, int, int, int]:
    """Smallest half-open box x1 y1 x2 y2 around the set pixels of a mask [H, W]; zeros for an empty one."""
    given = as_bytes(mask, "mask")
    width = given.shape[1]
    # Eight pixels a step where the rows allow it: most of a full-size mask is empty, and reading it is all the work.
    wide = width % 8 == 0 and given.flags.c_contiguous and given.size > 0
    words: NDArray[Any] = given.view(np.uint64) if wide else given
    rows = np.flatnonzero(np.bitwise_or.reduce(words, axis=1)) if given.size else np.empty(0, np.int64)
    if not len(rows):
        return 0, 0, 0, 0
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(np.bitwise_or.reduce(words[top:bottom], axis=0).view(np.uint8))
    return int(columns[0]), top, int(columns[-1]) + 1, bottom


def offsets_of(counts: NDArray[Any]) -> Indices:
    """Offsets [n+1] of groups of the given sizes [n]."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def chunks(sizes: Indices, limit: int) -> Iterator[slice]:
    """Slices of consecutive groups of `sizes` [n] that together hold about `limit`, or one group that holds more."""
    if len(sizes):
        starts = np.flatnonzero(np.diff(np.cumsum(sizes) // limit, prepend=-1))
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(sizes)], strict=True):
            yield slice(start, stop)


def joined(instance: Indices, y: Ints, x1: Ints, x2: Ints, count: int, size_hw: tuple[int, int]) -> MaskSpans:
    """MaskSpans of `count` instances from sorted spans that may be empty or touch in their row."""
    filled = x2 > x1
    if not filled.all():
        instance, y, x1, x2 = instance[filled], y[filled], x1[filled], x2[filled]
    touching = x1[1:] == x2[:-1]
    if touching.any():
        touching &= (y[1:] == y[:-1]) & (instance[1:] == instance[:-1])
        begins = np.concatenate((np.ones(min(len(x1), 1), np.bool_), ~touching))
        ends = np.concatenate((~touching, np.ones(min(len(x1), 1), np.bool_)))
        instance, y, x1, x2 = instance[begins], y[begins], x1[begins], x2[ends]
    return MaskSpans(size_hw, offsets_of(np.bincount(instance, minlength=count)), y, x1, x2)


def as_bytes(mask: Mask, name: str) -> NDArray[np.uint8]:
    """A bool or uint8 mask [h, w] as bytes without a copy. Raises ValueError for anything else."""
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype not in (np.bool_, np.uint8):
        kind = f"{mask.dtype} {list(mask.shape)}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise ValueError(f"{name}: expected bool or uint8 [h, w], got {kind}")
    return mask.view(np.uint8)


def _toggles(pixels: NDArray[np.uint8]) -> Indices:
    """Where rows of [h, w], 0 or 1, switch between unset and set, in a grid of width w + 1: starts and ends in turn."""
    height, width = pixels.shape
    # An unset pixel before the first row and after each one: in one flat piece comparing is several times faster.
    flat = np.zeros(1 + height * (width + 1), np.uint8)
    flat[1:].reshape(height, width + 1)[:, :width] = pixels
    return np.flatnonzero(flat[1:] != flat[:-1])


def _assemble(found: list[tuple[Indices, int, int, int]], size_hw: tuple[int, int]) -> MaskSpans:
    """Spans of crops given as toggles, the row length these count in, and the x and y of the crop."""
    counts = np.array([len(toggles) // 2 for toggles, *_ in found], np.int64)
    switches = np.concatenate([toggles for toggles, *_ in found] or [np.empty(0, np.int64)])
    stride, x, y = (np.repeat(np.array([entry[k] for entry in found], np.int64), counts) for k in (1, 2, 3))
    starts, ends = switches[::2], switches[1::2]
    row = starts // stride
    shift = x - row * stride
    return MaskSpans(
        size_hw, offsets_of(counts), *(v.astype(np.int32) for v in (row + y, starts + shift, ends + shift))
    )
