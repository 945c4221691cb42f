"""Predictions of several images put together as columns; only what is asked for is computed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.detections.columns import Detections
from kelp.detections.predictions import Predictions
from kelp.geometry import encode_cvat_masks, outer_polygons

_POLYGONS = frozenset({"polygon_offsets", "polygon_points"})
_RUNS = frozenset({"mask_offsets", "mask_rle"})


def build(
    results: Sequence[Predictions], labels: Sequence[str], outputs: Collection[str], simplify_px: Sequence[float]
) -> Detections:
    """The detections of N images.

    results: one an image; labels: names by label id; outputs: names of the columns that are wanted (contours and run
    lengths cost something and are left out otherwise); simplify_px: for each image, pixels of the original.
    """
    counts = [len(result) for result in results]
    wanted = frozenset(outputs)
    has_masks = bool(results) and all(result.masks is not None for result in results)
    columns: dict[str, Any] = {}
    if has_masks and wanted & _POLYGONS:
        polygons = [
            outer_polygons(r.masks, px) for r, px in zip(results, simplify_px, strict=True) if r.masks is not None
        ]
        columns["polygon_offsets"] = _joined_offsets([p.offsets for p in polygons])
        columns["polygon_points"] = _stacked([p.points for p in polygons], np.float32, (0, 2))
    if has_masks and wanted & _RUNS:
        runs = [_runs(result) for result in results]
        columns["mask_offsets"] = _joined_offsets([offsets for offsets, _ in runs])
        columns["mask_rle"] = _stacked([values for _, values in runs], np.int32, (0,))
    if "keypoints" in wanted and results and all(result.keypoints is not None for result in results):
        columns["keypoints"] = _stacked(
            [r.keypoints for r in results if r.keypoints is not None], np.float32, (0, 0, 3)
        )
    return Detections(
        image_index=np.repeat(np.arange(len(results), dtype=np.int32), counts),
        label_id=_stacked([r.label_id for r in results], np.int32, (0,)),
        labels=tuple(labels),
        score=_stacked([r.score for r in results], np.float32, (0,)),
        box=_stacked([r.box for r in results], np.float32, (0, 4)),
        image_size=np.array([r.size_hw for r in results], np.int32).reshape(-1, 2),
        **columns,
    )


def _runs(result: Predictions) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """CVAT's run lengths of one image; an instance without a pixel gets none."""
    masks = result.masks
    if masks is None:
        raise ValueError("masks were not predicted")
    filled = np.flatnonzero(masks.counts)
    offsets, values = encode_cvat_masks(masks.take(filled))
    lengths = np.zeros(len(result), np.int32)
    lengths[filled] = np.diff(offsets)
    return np.concatenate((np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32))), values


def _joined_offsets(parts: Sequence[NDArray[Any]]) -> NDArray[np.int32]:
    """Offsets of several columns put behind each other, int32 [sum of rows + 1]."""
    lengths = np.concatenate([np.diff(part) for part in parts])
    return np.concatenate((np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)))


def _stacked(parts: Sequence[NDArray[Any]], dtype: Any, empty: tuple[int, ...]) -> NDArray[Any]:
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.empty(empty, dtype)
