"""A YOLO pose model whose points are put in a template's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kelp.card import Card
from kelp.detections import Predictions
from predictors.common.errors import WeightsError
from predictors.grid.matching import match
from predictors.grid.template import Template, load_template
from predictors.model import Item
from predictors.yolo.model import RawImage, YoloModel


class GridModel(YoloModel):
    """Roles: `model`, a YOLO pose checkpoint or ONNX file; `template`, the ideal points [K, 2] as `.npy`.

    With `use_template_matching` each instance's keypoints come in the template's order: those that were found where
    they were found, those that were missed from the homography with visibility 0. An instance that no view of the
    template explains keeps what the model said.
    """

    def __init__(self, card: Card, files: Mapping[str, Path]) -> None:
        if card.task != "pose":
            raise WeightsError(f"{card.name}: runtime 'grid' has the task pose, not '{card.task}'")
        if "template" not in files:
            raise WeightsError(f"{card.name}: expected a file with the role 'template', got {', '.join(files)}")
        super().__init__(card, files)
        self._template: Template | None = None

    def load(self) -> None:
        template = load_template(self.files["template"])
        self._check_card(len(template))
        super().load()
        shape = self.engine.facts.keypoint_shape
        if shape is None or shape[0] != len(template):
            raise WeightsError(
                f"{self.files['template'].name}: {len(template)} points, but the model has "
                f"{'none' if shape is None else shape[0]}"
            )
        self._template = template

    def warm_up_items(self) -> Sequence[Item]:
        return [
            replace(item, settings={**item.settings, "use_template_matching": True}) for item in super().warm_up_items()
        ]

    def postprocess(self, raw: list[RawImage], items: Sequence[Item]) -> list[Predictions]:
        answers = super().postprocess(raw, items)
        return [
            self._matched(answer) if item.settings["use_template_matching"] else answer
            for answer, item in zip(answers, items, strict=True)
        ]

    def _matched(self, found: Predictions) -> Predictions:
        if found.keypoints is None or self._template is None or not len(found):
            return found
        by_mark = self.card.orientation == "mark"
        matches = [match(self._template, points, by_mark=by_mark) for points in found.keypoints]
        keypoints = [
            given if match is None else match.keypoints for given, match in zip(found.keypoints, matches, strict=True)
        ]
        return replace(found, keypoints=np.stack(keypoints).astype(np.float32))

    def _check_card(self, points: int) -> None:
        name = self.files["template"].name
        if self.card.grid_shape is not None and self.card.grid_shape[0] * self.card.grid_shape[1] != points:
            rows, columns = self.card.grid_shape
            raise WeightsError(
                f"{name}: {points} points, but the card's grid_shape {rows} × {columns} has {rows * columns}"
            )
        for label in self.card.labels:
            if label.sublabels and len(label.sublabels) != points:
                raise WeightsError(
                    f"{name}: {points} points, but the card's label '{label.name}' has {len(label.sublabels)}"
                )
