"""Answers of the model as shapes for CVAT: labels found, limits checked, JSON made once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from bridge.cvat.objects import Label
from bridge.detect.infer import Answered, SetAside
from bridge.detect.labels import Resolution, resolve
from bridge.detect.validate import fault
from bridge.events.parameters import DetectParameters
from bridge.store.progress import FrameResult
from kelp.detections import Detections
from kelp.detections.cvat_annotations import Annotations, Target
from kelp.detections.shape_kind import MODEL_OUTPUT, ModelOutput

_COLUMNS_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "polygon": ("polygon_offsets", "polygon_points"),
    "polyline": ("polygon_offsets", "polygon_points"),
    "mask": ("mask_offsets", "mask_rle"),
    "points": ("keypoints",),
    "skeleton": ("keypoints",),
}
_ALWAYS = ("image_index", "label_id", "labels", "score", "box", "image_size")


@dataclass(slots=True)
class Findings:
    """Counted over a run. lacking: model label → detections the project has no label for; unsuited: the same for those
    whose label takes no such shape; refused: reason → shapes that must not be written."""

    lacking: Counter[str] = field(default_factory=Counter)
    unsuited: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {
            name: dict(sorted(counted.items()))
            for name, counted in (
                ("labels_lacking", self.lacking), ("labels_unsuited", self.unsuited), ("shapes_refused", self.refused),
            )
            if counted
        }  # fmt: skip

    def add(self, other: Findings) -> None:
        self.lacking.update(other.lacking)
        self.unsuited.update(other.unsuited)
        self.refused.update(other.refused)


def outputs_for(targets: Mapping[str, Target]) -> tuple[str, ...] | None:
    """The output tensors that writing to `targets` needs, so that nothing else is computed; None: whatever there is."""
    if not targets:
        return None
    kinds = sorted({target.kind for target in targets.values()})
    return (*_ALWAYS, *dict.fromkeys(column for kind in kinds for column in _COLUMNS_OF_KIND.get(kind, ())))


def found_by(task: str | None, detections: Detections | None = None) -> ModelOutput:
    """What the model finds: by its card's task, else by what it answered."""
    if task in MODEL_OUTPUT:
        return MODEL_OUTPUT[task]
    if detections is not None and detections.keypoints is not None:
        return "keypoints"
    if detections is not None and detections.mask_offsets is None and detections.polygon_offsets is None:
        return "boxes"
    return "masks"


class Converter:
    """Turns answers into rows for the frames table; one a run. `sizes`: height and width by frame number."""

    def __init__(
        self,
        labels: Sequence[Label],
        parameters: DetectParameters,
        sizes: Mapping[int, tuple[int, int]],
        *,
        task: str | None,
        points: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._labels = labels
        self._parameters = parameters
        self._sizes = sizes
        self._task = task
        self._points = points or {}
        self._resolved: dict[tuple[tuple[str, ...], ModelOutput], Resolution] = {}

    def resolution(self, names: Sequence[str], found: ModelOutput) -> Resolution:
        key = (tuple(names), found)
        if key not in self._resolved:
            self._resolved[key] = resolve(names, self._labels, self._parameters, found, points=self._points)
        return self._resolved[key]

    def convert(self, outcome: Answered | SetAside) -> tuple[list[FrameResult], Findings]:
        """The frames of one answer. A frame that the model saw in another size than CVAT's is set aside."""
        findings = Findings()
        if isinstance(outcome, SetAside):
            return [FrameResult(outcome.frame, error=outcome.reason)], findings
        detections = outcome.detections
        resolution = self.resolution(detections.labels, found_by(self._task, detections))
        annotations = Annotations(detections)
        results = []
        for index, frame in enumerate(outcome.frames):
            height, width = detections.image_size[index].tolist()
            known = self._sizes.get(frame.number, (0, 0))
            if all(known) and known != (height, width):
                error = f"the model saw {width}x{height} pixels, CVAT has {known[1]}x{known[0]}"
                results.append(FrameResult(frame.number, error=error))
                continue
            rows = detections.rows_of(index)
            results.append(_frame(frame.number, (height, width), detections, rows, annotations, resolution, findings))
        return results, findings


def _frame(
    number: int,
    size_hw: tuple[int, int],
    detections: Detections,
    rows: range,
    annotations: Annotations,
    resolution: Resolution,
    findings: Findings,
) -> FrameResult:
    shapes: list[tuple[bytes, float]] = []
    tags: dict[int, tuple[bytes, float]] = {}
    label_ids = detections.label_id[rows.start : rows.stop].tolist()
    scores = detections.score[rows.start : rows.stop].tolist()
    for row, label_id, score in zip(rows, label_ids, scores, strict=True):
        name = detections.labels[label_id]
        target = resolution.targets.get(name)
        if target is None:
            _count(findings, resolution, name)
            continue
        try:
            shape = annotations.of(row, number, target)
        except ValueError as error:  # the answer lacks what this kind of shape is made of
            findings.refused[str(error)] += 1
            continue
        if shape is None:
            findings.refused["nothing of it inside the image"] += 1
            continue
        if (reason := fault(shape, size_hw)) is not None:
            findings.refused[reason] += 1
            continue
        shape["score"] = round(score, 4)  # servers without such a field drop it
        if target.kind != "tag":
            shapes.append((orjson.dumps(shape), score))
        elif target.label_id not in tags or tags[target.label_id][1] < score:
            tags[target.label_id] = (orjson.dumps(shape), score)  # one a frame: the surest
    found = [*shapes, *tags.values()]
    return FrameResult(number, [body for body, _ in found], [score for _, score in found], len(tags))


def _count(findings: Findings, resolution: Resolution, name: str) -> None:
    if name in resolution.unsuited:
        findings.unsuited[name] += 1
    elif name in resolution.missing:
        findings.lacking[name] += 1
