"""100 masks at 1080p to polygons and CVAT's run lengths, from masks at the model's size and from full-size ones.

Against what one does with the libraries at hand: `cv2.resize` of each mask to full size, `supervision.mask_to_polygons`
and cvat-sdk's `encode_mask`, which gets the instance's box and so reads only that part. Both sides know the boxes. The
same run checks ours: run lengths byte for byte, polygons by overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.row import Row, interleaved, ratio_of_medians
from kelp.geometry import (
    MaskSpans,
    Polygons,
    encode_cvat_masks,
    mask_iou,
    outer_polygons,
    pixel_boxes,
    spans_of_grids,
    spans_of_masks,
    spans_of_polygons,
)

INSTANCES = 100
SIZE_HW = (1080, 1920)
GRID_HW = (90, 160)
ROUNDS = 25
SIMPLIFY_PX = 1.0
LEAST_IOU = 0.99

Found = tuple[Polygons, tuple[NDArray[np.int32], NDArray[np.int32]]]


def run() -> list[Row]:
    """Four rows: from the model's size and from full size, with every point and simplified as shipped."""
    logits, boxes = _instances()
    masks = _enlarged(logits, boxes)
    spans = spans_of_grids(logits, SIZE_HW, boxes)
    _check_runs(spans, masks)
    starts: tuple[tuple[str, Callable[[], MaskSpans], Callable[[], Any], float], ...] = (
        ("model's size", lambda: spans_of_grids(logits, SIZE_HW, boxes), lambda: _their_grids(logits, boxes), 10.0),
        ("full size", lambda: spans_of_masks(masks, boxes), lambda: _their_masks(masks, boxes), 3.0),
    )
    rows = []
    for name, begin, theirs, target in starts:
        for simplify_px in (0.0, SIMPLIFY_PX):

            def ours(begin: Callable[[], MaskSpans] = begin, simplify_px: float = simplify_px) -> Found:
                found = begin()
                return outer_polygons(found, simplify_px), encode_cvat_masks(found)

            mine, their = interleaved(ours, theirs, ROUNDS)
            rows.append(
                Row(
                    group="geometry",
                    name=f"{INSTANCES} masks at 1080p from {name}, simplify_px={simplify_px:g}",
                    value=ratio_of_medians(their, mine),
                    target=target,
                    higher_is_better=True,
                    unit="s",
                    ours=mine,
                    theirs=their,
                    against="cv2, supervision, cvat-sdk" if name == "model's size" else "supervision, cvat-sdk",
                    note=_overlap(ours()[0], spans, simplify_px),
                )
            )
    return rows


def _instances() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits [100, 90, 160] of lobed, slightly rough colonies of 40 to 440 pixels, and their boxes [100, 4]."""
    random = np.random.Generator(np.random.PCG64(20))
    scale = SIZE_HW[1] / GRID_HW[1]
    rows, columns = (np.mgrid[: GRID_HW[0], : GRID_HW[1]] + 0.5) * scale
    logits = np.empty((INSTANCES, *GRID_HW), np.float32)
    boxes = np.empty((INSTANCES, 4), np.float32)
    for number in range(INSTANCES):
        radii = np.exp(random.uniform(np.log(20), np.log(220))) * random.uniform(0.6, 1.4, 2)
        middle = random.uniform((0, 0), SIZE_HW[::-1])
        across, down = columns - middle[0], rows - middle[1]
        angle = np.arctan2(down, across)
        lobes = sum(0.12 * random.normal() * np.cos(n * angle + random.uniform(0, 6.3)) for n in range(2, 7))
        rough = cv2.GaussianBlur(random.standard_normal(GRID_HW), (0, 0), 1.5)
        logits[number] = 6 * (1 + lobes - np.hypot(across / radii[0], down / radii[1])) + rough
        boxes[number] = np.concatenate((middle - 1.2 * radii, middle + 1.2 * radii))
    boxes = boxes.clip(0, (*SIZE_HW[::-1], *SIZE_HW[::-1])).astype(np.float32)
    filled = spans_of_grids(logits, SIZE_HW, boxes).area() > 0
    return logits[filled], boxes[filled]


def _enlarged(logits: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Full-size masks by OpenCV, rows before columns as ours, then cut to their boxes."""
    masks = np.zeros((len(logits), *SIZE_HW), np.bool_)
    for mask, grid, (x1, y1, x2, y2) in zip(masks, logits, pixel_boxes(boxes, SIZE_HW), strict=True):
        tall = cv2.resize(grid, (GRID_HW[1], SIZE_HW[0]), interpolation=cv2.INTER_LINEAR)
        full = cv2.resize(tall, SIZE_HW[::-1], interpolation=cv2.INTER_LINEAR) > 0
        mask[y1:y2, x1:x2] = full[y1:y2, x1:x2]
    return masks


def _their_grids(logits: NDArray[np.float32], boxes: NDArray[np.float32]) -> None:
    import supervision
    from cvat_sdk.masks import encode_mask

    for grid, box, (x1, y1, x2, y2) in zip(logits, boxes.tolist(), pixel_boxes(boxes, SIZE_HW), strict=True):
        full = cv2.resize(grid, SIZE_HW[::-1], interpolation=cv2.INTER_LINEAR) > 0
        mask = np.zeros_like(full)
        mask[y1:y2, x1:x2] = full[y1:y2, x1:x2]
        supervision.mask_to_polygons(mask)
        encode_mask(mask, box)


def _their_masks(masks: NDArray[np.bool_], boxes: NDArray[np.float32]) -> None:
    import supervision
    from cvat_sdk.masks import encode_mask

    for mask, box in zip(masks, boxes.tolist(), strict=True):
        supervision.mask_to_polygons(mask)
        encode_mask(mask, box)


def _check_runs(spans: MaskSpans, masks: NDArray[np.bool_]) -> None:
    from cvat_sdk.masks import encode_mask

    for made in (spans, spans_of_masks(masks)):
        offsets, values = encode_cvat_masks(made)
        for number, mask in enumerate(masks):
            if values[offsets[number] : offsets[number + 1]].tolist() != encode_mask(mask):
                raise AssertionError(f"run lengths of mask {number} are not those of the enlarged one")


def _overlap(polygons: Polygons, spans: MaskSpans, simplify_px: float) -> str:
    """The polygons' overlap with the masks in words; AssertionError where it is too small."""
    overlap = mask_iou(spans_of_polygons(polygons, SIZE_HW), spans)
    # A tolerance costs small instances more: as shipped the typical one counts, without a tolerance every one.
    judged = float(np.median(overlap)) if simplify_px else float(overlap.min())
    if judged < LEAST_IOU:
        raise AssertionError(f"polygons overlap their masks by {judged:.4f} only")
    return (
        f"{len(spans)} instances, {len(polygons.points)} points; run lengths byte-equal; "
        f"polygon IoU median {np.median(overlap):.4f}, least {overlap.min():.4f}"
    )
