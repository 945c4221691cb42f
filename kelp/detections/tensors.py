"""Detections as V2 tensors and back: the columns of the wire, one tensor each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from kelp.codec.tensor import Tensor
from kelp.detections.columns import Detections
from kelp.errors import BadGateway, InvalidRequest


class Column(NamedTuple):
    """An output tensor of a detector: name, V2 datatype, shape with -1 for what varies, meaning."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    meaning: str


COLUMNS: tuple[Column, ...] = (
    Column("image_index", "INT32", (-1,), "which image"),
    Column("label_id", "INT32", (-1,), "index into labels"),
    Column("labels", "BYTES", (-1,), "label names"),
    Column("score", "FP32", (-1,), "0..1"),
    Column("box", "FP32", (-1, 4), "x1 y1 x2 y2, pixels of the original image, x2 y2 exclusive"),
    Column("polygon_offsets", "INT32", (-1,), "outer contour of i is points[offsets[i]:offsets[i+1]]"),
    Column("polygon_points", "FP32", (-1, 2), "x y, pixel edges of the original image"),
    Column("mask_offsets", "INT32", (-1,), "run lengths of i are rle[offsets[i]:offsets[i+1]]"),
    Column("mask_rle", "INT32", (-1,), "CVAT's run lengths, zeros first, then left top right bottom inclusive"),
    Column("keypoints", "FP32", (-1, -1, 3), "x, y, visibility 0..1, in the card's order"),
    Column("image_size", "INT32", (-1, 2), "height, width"),
)
ANNOTATIONS = Column("annotations", "BYTES", (-1,), "an image's detections as JSON, CVAT's detector form")
DETECTOR_OUTPUTS: tuple[str, ...] = (*(column.name for column in COLUMNS), ANNOTATIONS.name)

_MASKS = frozenset({"polygon_offsets", "polygon_points", "mask_offsets", "mask_rle"})
_LEFT_OUT: dict[str, frozenset[str]] = {
    "segment": frozenset({"keypoints"}),
    "detect": _MASKS | {"keypoints"},
    "pose": _MASKS,
}


def outputs_of(task: str) -> tuple[Column, ...]:
    """The output tensors that a detector of `task` has, `annotations` last."""
    left_out = _LEFT_OUT[task]
    return (*(column for column in COLUMNS if column.name not in left_out), ANNOTATIONS)


def to_tensors(
    detections: Detections, outputs: Collection[str], annotations: Sequence[list[dict[str, Any]]] | None = None
) -> list[Tensor]:
    """The tensors named in `outputs`, in the order of COLUMNS; columns that are None are left out.

    `annotations`: CVAT's detector form of each image, where that output is asked for.
    """
    tensors = []
    for column in COLUMNS:
        if column.name not in outputs:
            continue
        values = getattr(detections, column.name)
        if column.name == "labels":
            tensors.append(_text_tensor("labels", detections.labels))
        elif values is not None:
            tensors.append(Tensor(column.name, column.datatype, values.shape, values))
    if annotations is not None and ANNOTATIONS.name in outputs:
        texts = [json.dumps(found, ensure_ascii=False, separators=(",", ":")) for found in annotations]
        tensors.append(_text_tensor(ANNOTATIONS.name, texts))
    return tensors


def from_tensors(tensors: Mapping[str, Tensor]) -> Detections:
    """The detections in a model's answer. BadGateway names the tensor that is missing or wrong."""
    values: dict[str, Any] = {}
    for column in COLUMNS:
        tensor = tensors.get(column.name)
        if tensor is None:
            continue
        if tensor.datatype != column.datatype:
            raise BadGateway(f"output '{column.name}': expected {column.datatype}, got {tensor.datatype}")
        try:
            values[column.name] = tuple(tensor.texts()) if column.datatype == "BYTES" else tensor.array
        except InvalidRequest as error:
            raise BadGateway(f"output {error}") from None
    try:
        return Detections(**values)
    except TypeError:
        # A required column did not come.
        required = ("image_index", "label_id", "labels", "score", "box", "image_size")
        missing = ", ".join(name for name in required if name not in values)
        raise BadGateway(f"the model's answer lacks: {missing}") from None
    except ValueError as error:
        raise BadGateway(f"output {error}") from None


def _text_tensor(name: str, texts: Sequence[str]) -> Tensor:
    return Tensor.from_bytes(name, texts)
