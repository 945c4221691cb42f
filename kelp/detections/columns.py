"""Detections as validated columns: what travels on the wire, D instances over N images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kelp.detections.check import array, offsets

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Detections:
    """D instances found in N images; coordinates in pixels of the original images, pixel edges (half-open).

    image_index: int32 [D], rising; label_id: int32 [D], index into `labels`; labels: C label names
    score: float32 [D], 0..1; box: float32 [D, 4] x1 y1 x2 y2, x2 y2 exclusive; image_size: int32 [N, 2] height, width
    polygon_offsets, polygon_points: int32 [D+1], float32 [V, 2]: outer contour of i is points[offsets[i]:offsets[i+1]]
    mask_offsets, mask_rle: int32 [D+1], int32 [R]: CVAT's run lengths of the box, row-major, zeros first, followed by
        left, top, right, bottom INCLUSIVE (an instance without a mask has none)
    keypoints: float32 [D, K, 3]: x, y, visibility 0..1, in the card's order
    Optional columns are None where they were not asked for or the model has none. Raises ValueError naming the column.
    """

    image_index: Ints
    label_id: Ints
    labels: tuple[str, ...]
    score: Floats
    box: Floats
    image_size: Ints
    polygon_offsets: Ints | None = None
    polygon_points: Floats | None = None
    mask_offsets: Ints | None = None
    mask_rle: Ints | None = None
    keypoints: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self.label_id)
        array(self.image_size, "image_size", np.int32, (None, 2))
        array(self.image_index, "image_index", np.int32, (count,))
        array(self.label_id, "label_id", np.int32, (count,))
        array(self.score, "score", np.float32, (count,))
        array(self.box, "box", np.float32, (count, 4))
        if count:
            _within(self.image_index, "image_index", len(self.image_size))
            _within(self.label_id, "label_id", len(self.labels))
            if int(np.diff(self.image_index).min(initial=0)) < 0:
                raise ValueError("image_index: expected rising image numbers")
            if not (np.isfinite(self.score).all() and self.score.min() >= 0 and self.score.max() <= 1):
                raise ValueError("score: expected values from 0 to 1")
            if not np.isfinite(self.box).all():
                raise ValueError("box: expected finite numbers")
        self._check_pair("polygon", self.polygon_offsets, self.polygon_points, np.float32, (None, 2), "points")
        self._check_pair("mask", self.mask_offsets, self.mask_rle, np.int32, (None,), "rle")
        if self.keypoints is not None:
            array(self.keypoints, "keypoints", np.float32, (count, None, 3))

    def _check_pair(
        self,
        name: str,
        starts: Ints | None,
        values: NDArray[np.float32] | NDArray[np.int32] | None,
        dtype: type,
        shape: tuple[int | None, ...],
        suffix: str,
    ) -> None:
        if (starts is None) != (values is None):
            raise ValueError(f"{name}_offsets and {name}_{suffix} only come together")
        if starts is not None and values is not None:
            array(values, f"{name}_{suffix}", dtype, shape)
            offsets(starts, f"{name}_offsets", len(self), len(values))

    def __len__(self) -> int:
        return len(self.label_id)

    @property
    def image_count(self) -> int:
        return len(self.image_size)

    def rows_of(self, image: int) -> range:
        """The rows that belong to image number `image`."""
        start, stop = np.searchsorted(self.image_index, (image, image + 1))
        return range(int(start), int(stop))

    def polygon(self, row: int) -> Floats:
        """Outer contour of `row`, float32 [V, 2]. ValueError where the column was not asked for."""
        if self.polygon_offsets is None or self.polygon_points is None:
            raise ValueError("polygon_points were not asked for")
        return self.polygon_points[self.polygon_offsets[row] : self.polygon_offsets[row + 1]]

    def cvat_mask(self, row: int) -> Ints:
        """Run lengths of `row`, then left, top, right, bottom inclusive, int32 [R]; empty where it has no mask."""
        if self.mask_offsets is None or self.mask_rle is None:
            raise ValueError("mask_rle was not asked for")
        return self.mask_rle[self.mask_offsets[row] : self.mask_offsets[row + 1]]


def _within(values: Ints, name: str, stop: int) -> None:
    if int(values.min()) < 0 or int(values.max()) >= stop:
        raise ValueError(f"{name}: expected values from 0 to {stop - 1}")
