"""Which kind of CVAT shape a detection becomes: decided by the label's own type, unless the caller says otherwise."""

from __future__ import annotations

from typing import Literal

ShapeKind = Literal["rectangle", "polygon", "polyline", "mask", "points", "skeleton", "tag"]
ModelOutput = Literal["masks", "boxes", "keypoints"]

MODEL_OUTPUT: dict[str, ModelOutput] = {"segment": "masks", "detect": "boxes", "pose": "keypoints"}
"""What a model of each task finds, as far as CVAT's shapes are concerned."""

_OUTLINES = frozenset({"polygon", "polyline", "mask", "any"})
_FORCIBLE = _OUTLINES | {"rectangle"}


def shape_kind(
    label_type: str, found: ModelOutput, *, shape: str = "auto", conv_mask_to_poly: bool | None = None
) -> ShapeKind | None:
    """The shape for a label of `label_type` (CVAT's), given what the model finds; None: CVAT has no such shape for it.

    `shape` other than "auto" decides among outlines and boxes for labels that hold those; tags, skeletons, points,
    ellipses and cuboids hold nothing but their own kind, whatever `shape` says. `conv_mask_to_poly` moves outlines
    only: true makes them contours (of the label's own kind, polygon or polyline), false masks, None leaves them to the
    label's type; it does nothing to boxes and keypoints.
    """
    if label_type == "tag":
        return "tag"
    if found == "keypoints":
        return _of_keypoints(label_type, shape)
    if shape != "auto":
        return _forced(shape) if label_type in _FORCIBLE else None
    if label_type == "rectangle" or (found == "boxes" and label_type == "any"):
        return "rectangle"
    if label_type not in _OUTLINES:
        return None
    contour: ShapeKind = "polyline" if label_type == "polyline" else "polygon"
    if conv_mask_to_poly is None or found == "boxes":
        return "mask" if label_type == "mask" else contour
    return contour if conv_mask_to_poly else "mask"


def _of_keypoints(label_type: str, shape: str) -> ShapeKind | None:
    if label_type == "skeleton":
        return "skeleton"
    if label_type in _FORCIBLE and (shape == "rectangle" or (shape == "auto" and label_type == "rectangle")):
        return "rectangle"
    return "points" if label_type in {"points", "any"} else None


def _forced(shape: str) -> ShapeKind:
    kinds: dict[str, ShapeKind] = {
        "polygon": "polygon", "polyline": "polyline", "mask": "mask", "rectangle": "rectangle",
    }  # fmt: skip
    return kinds[shape]
