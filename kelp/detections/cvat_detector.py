"""Detections as the list that CVAT expects from a detector function (its Nuclio form); `annotations` on the wire.

A mask here is the flattened 0/1 crop followed by left, top, right, bottom inclusive: CVAT silently misreads run
lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kelp.detections.columns import Detections
from kelp.detections.outline import Outlines
from kelp.detections.shape_kind import MODEL_OUTPUT, ShapeKind, shape_kind


def detector_columns(task: str, settings: Mapping[str, Any]) -> frozenset[str]:
    """The optional columns that `to_detector_form` needs for a model of `task` at these settings."""
    if task == "pose":
        return frozenset({"keypoints"})
    if task != "segment" or settings.get("shape") == "rectangle":
        return frozenset()
    masks = {"mask_offsets", "mask_rle"} if _kind("any", task, settings) == "mask" else set()
    return frozenset({"polygon_offsets", "polygon_points", *masks})


def to_detector_form(
    detections: Detections,
    image: int,
    *,
    task: str,
    settings: Mapping[str, Any],
    skeletons: Mapping[str, tuple[str, ...]] | None = None,
) -> list[dict[str, Any]]:
    """What was found in image number `image`, as JSON-able dicts.

    `skeletons`: label → names of its points, in the model's order, for labels of type skeleton.
    """
    outlines = Outlines(detections)
    found = []
    for row in detections.rows_of(image):
        label = detections.labels[detections.label_id[row]]
        points = (skeletons or {}).get(label)
        kind = _kind("skeleton" if points else "any", task, settings)
        if kind is None:
            continue
        found.append(
            {
                "label": label,
                "type": kind,
                "confidence": round(float(detections.score[row]), 4),
                "attributes": [],
                **_geometry(outlines, row, kind, points),
            }
        )
    return found


def _kind(label_type: str, task: str, settings: Mapping[str, Any]) -> ShapeKind | None:
    # Unset here means polygons: the caller has no project whose labels could decide.
    wanted = settings.get("conv_mask_to_poly")
    return shape_kind(
        label_type,
        MODEL_OUTPUT.get(task, "boxes"),
        shape=settings.get("shape") or "auto",
        conv_mask_to_poly=True if wanted is None else wanted,
    )


def _geometry(outlines: Outlines, row: int, kind: ShapeKind, names: tuple[str, ...] | None) -> dict[str, Any]:
    match kind:
        case "rectangle":
            return {"points": outlines.box(row)}
        case "polygon" | "polyline":
            return {"points": outlines.contour(row, closed=kind == "polyline")}
        case "mask":
            return {"mask": _flat_mask(outlines.mask(row)), "points": outlines.contour(row)}
        case "points":
            return {"points": [value for place in outlines.keypoints(row)[0] for value in place]}
        case _:
            places, seen = outlines.keypoints(row)
            return {
                "elements": [
                    {
                        "label": name,
                        "type": "points",
                        "points": place,
                        "outside": False,
                        "occluded": not visible,
                        "attributes": [],
                    }
                    for name, place, visible in zip(names or (), places, seen, strict=True)
                ]
            }


def _flat_mask(points: list[int]) -> list[int]:
    if not points:
        return []
    runs, bounds = np.array(points[:-4]), points[-4:]
    flat: list[int] = np.repeat(np.arange(len(runs)) & 1, runs).tolist()
    return flat + bounds
