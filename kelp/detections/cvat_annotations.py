"""Rows of detections as CVAT's annotation API takes them (`PATCH …/annotations?action=create`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kelp.detections.columns import Detections
from kelp.detections.outline import Outlines
from kelp.detections.shape_kind import ShapeKind


class AttributeValue(NamedTuple):
    """An attribute of a label by CVAT's id, with the value to write."""

    spec_id: int
    value: str


class ScoreAttribute(NamedTuple):
    """The label's attribute that takes the score. Numbers are written on its scale: 0..1, or 0..maximum above 1."""

    spec_id: int
    maximum: float = 1.0
    step: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """A label of the project that one of the model's labels goes to.

    label_id: CVAT's id; kind: the shape to write; attributes: defaults for what the label requires;
    elements: for a skeleton, (label id, attributes) of each sublabel in the order of the model's keypoints.
    """

    label_id: int
    kind: ShapeKind
    attributes: tuple[AttributeValue, ...] = ()
    score: ScoreAttribute | None = None
    elements: tuple[tuple[int, tuple[AttributeValue, ...]], ...] = ()


class Annotations:
    """Turns rows of `detections` into CVAT's shapes and tags."""

    def __init__(self, detections: Detections) -> None:
        self._detections = detections
        self._outlines = Outlines(detections)

    def of(self, row: int, frame: int, target: Target) -> dict[str, Any] | None:
        """Row `row` as a shape (for kind "tag", a tag) on `frame`; None where nothing of it lies inside the image.

        Raises ValueError where the column that the kind needs is missing, or a skeleton has another number of points.
        """
        attributes = [{"spec_id": a.spec_id, "value": a.value} for a in target.attributes]
        if target.score is not None:
            attributes = [a for a in attributes if a["spec_id"] != target.score.spec_id]
            attributes.append({"spec_id": target.score.spec_id, "value": self._score(row, target.score)})
        if target.kind == "tag":
            return {"frame": frame, "label_id": target.label_id, "source": "auto", "attributes": attributes}
        shape: dict[str, Any] = {
            "type": target.kind,
            "frame": frame,
            "label_id": target.label_id,
            "points": [],
            "source": "auto",
            "occluded": False,
            "outside": False,
            "z_order": 0,
            "rotation": 0.0,
            "attributes": attributes,
        }
        if target.kind == "skeleton":
            shape["elements"] = self._elements(row, frame, target)
            return shape
        shape["points"] = self._points(row, target.kind)
        return shape if shape["points"] else None

    def _points(self, row: int, kind: ShapeKind) -> Sequence[float]:
        match kind:
            case "rectangle":
                return self._outlines.box(row)
            case "polygon" | "polyline":
                return self._outlines.contour(row, closed=kind == "polyline")
            case "mask":
                return self._outlines.mask(row)
            case "points":
                return [value for place in self._outlines.keypoints(row)[0] for value in place]
            case _:
                raise ValueError(f"no points for shapes of kind '{kind}'")

    def _elements(self, row: int, frame: int, target: Target) -> list[dict[str, Any]]:
        places, seen = self._outlines.keypoints(row)
        if len(places) != len(target.elements):
            raise ValueError(f"keypoints: the label has {len(target.elements)} points, the model found {len(places)}")
        return [
            {
                "type": "points",
                "frame": frame,
                "label_id": label_id,
                "points": place,
                "source": "auto",
                # A point the model only guessed is hidden, never absent: a person then sees which ones to check.
                "occluded": not visible,
                "outside": False,
                "z_order": 0,
                "rotation": 0.0,
                "attributes": [{"spec_id": a.spec_id, "value": a.value} for a in attributes],
            }
            for place, visible, (label_id, attributes) in zip(places, seen, target.elements, strict=True)
        ]

    def _score(self, row: int, attribute: ScoreAttribute) -> str:
        score = float(self._detections.score[row]) * max(attribute.maximum, 1.0)
        if attribute.step >= 1:
            return str(round(score / attribute.step) * round(attribute.step))
        return f"{score:.4f}".rstrip("0").rstrip(".")
