"""A YOLO pose model whose points are put in a template's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from kelp.card import Card
from kelp.detections import Predictions
from kelp.settings.model import ModelSetting
from predictors.common.errors import WeightsError
from predictors.grid.matching import match
from predictors.grid.shown import kept, shown, unseen_outside
from predictors.grid.template import Template, load_template
from predictors.model import Item
from predictors.yolo.model import RawImage, YoloModel

_MOST_REFINED = 8


class GridModel(YoloModel):
    """Roles: `model`, a YOLO pose checkpoint or ONNX file; `template`, the ideal points [K, 2] as `.npy`.

    With `use_template_matching` each instance's keypoints come in the template's order: those that were found where
    they were found, those that were missed from the homography with visibility 0. An instance that no view of the
    template explains keeps what the model said.

    With `refine` the points are then measured on the photograph: four corners where the inner edges of a bright frame
    meet, crossings where bright strings do. The photograph has the last word: a point of which nothing is to be seen
    there has a visibility below 0.5, and an instance's score counts by what shows of it, so that one without frame or
    strings is none.
    """

    own_settings: ClassVar[tuple[ModelSetting, ...]] = (
        ModelSetting(
            "refine", "bool", False,
            "measure matched points on the image itself: frame edges, or strings; where it shows none, none is found",
            tasks=frozenset({"pose"}),
        ),
    )  # fmt: skip

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
        self._check_model(len(template), shape[0] if shape else None)
        self._template = template

    def check_files(self) -> None:
        from predictors.describe.found import Yolo
        from predictors.describe.look import look

        points = len(load_template(self.files["template"]))
        self._check_card(points)
        found = look(self.files["model"])
        if not isinstance(found, Yolo):
            raise WeightsError(f"{self.files['model'].name}: no YOLO of ultralytics")
        self._check_model(points, found.keypoints)

    def warm_up_items(self) -> Sequence[Item]:
        settings = {"use_template_matching": True, "refine": False}
        return [replace(item, settings={**item.settings, **settings}) for item in super().warm_up_items()]

    def postprocess(self, raw: list[RawImage], items: Sequence[Item]) -> list[Predictions]:
        # Whether there is a quadrat is told by its points, asked for or not.
        complete = [replace(item, outputs=item.outputs | {"keypoints"}) for item in items]
        return [
            self._matched(answer, item) if item.settings["use_template_matching"] else answer
            for answer, item in zip(super().postprocess(raw, complete), items, strict=True)
        ]

    def _matched(self, found: Predictions, item: Item) -> Predictions:
        if found.keypoints is None or self._template is None or not len(found):
            return found
        by_mark = self.card.orientation == "mark"
        keypoints = list(found.keypoints)
        shares = np.zeros(len(found)) if item.settings["refine"] else np.ones(len(found))
        for number, given in enumerate(found.keypoints):
            matched = match(self._template, given, by_mark=by_mark)
            if matched is None:
                continue
            keypoints[number] = matched.keypoints
            # The surest come first: an image shows one quadrat, seldom two.
            if item.settings["refine"] and number < _MOST_REFINED:
                measured = shown(self._template, matched, item.image, self.card.grid_shape)
                keypoints[number], shares[number] = measured.keypoints, measured.share
            keypoints[number] = unseen_outside(keypoints[number], found.size_hw)
        answer = replace(found, keypoints=np.stack(keypoints).astype(np.float32))
        return kept(answer, shares, item.settings["conf_threshold"]) if item.settings["refine"] else answer

    def _check_model(self, points: int, has: int | None) -> None:
        if has != points:
            raise WeightsError(f"{self.files['template'].name}: {points} points, but the model has {has or 'none'}")

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
