"""Results of a model → the response that V2 carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from kelp.card import Card
from kelp.codec import InferResponse, Tensor
from kelp.detections.build import build
from kelp.detections.cvat_detector import detector_columns, to_detector_form
from kelp.detections.tensors import ANNOTATIONS, to_tensors
from kelp.errors import KelpError
from kelp.settings.model import DETECTORS
from predictors.serving.plan import Plan


class Answerer:
    """Makes responses for one card; `labels`: names by label id, as the loaded model has them."""

    def __init__(self, card: Card, labels: tuple[str, ...]) -> None:
        self._card = card
        self._labels = labels
        self._skeletons = {
            label.name: tuple(point.name for point in label.sublabels) for label in card.labels if label.sublabels
        }

    def response(self, plan: Plan, results: Sequence[Any]) -> InferResponse:
        """The response with the outputs that the plan asks for, in the order in which the request names them."""
        tensors = self._detections(plan, results) if self._card.task in DETECTORS else _images(plan, results)
        order = {output.name: place for place, output in enumerate(plan.request.outputs)}
        if order:
            tensors.sort(key=lambda tensor: order[tensor.name])
        return InferResponse(
            model_name=self._card.model_name,
            model_version=self._card.version or "",
            id=plan.request.id,
            outputs=tuple(tensors),
        )

    def _detections(self, plan: Plan, results: Sequence[Any]) -> list[Tensor]:
        as_text = ANNOTATIONS.name in plan.outputs
        columns = plan.outputs | detector_columns(self._card.task, plan.settings) if as_text else plan.outputs
        simplify_px = float(plan.settings.get("simplify_px") or 0.0)
        detections = build(results, self._labels, columns, [simplify_px] * len(results))
        annotations = None
        if as_text:
            annotations = [
                to_detector_form(
                    detections, image, task=self._card.task, settings=plan.settings, skeletons=self._skeletons
                )
                for image in range(len(results))
            ]
        return to_tensors(detections, plan.outputs, annotations)


def _images(plan: Plan, results: Sequence[Any]) -> list[Tensor]:
    return [Tensor.from_bytes("image", [_encoded(image, plan.settings) for image in results])]


def _encoded(image: np.ndarray[Any, Any], settings: Mapping[str, Any]) -> bytes:
    jpeg = settings.get("format") == "jpeg"
    options = [cv2.IMWRITE_JPEG_QUALITY, int(settings.get("quality") or 95)] if jpeg else []
    done, data = cv2.imencode(".jpg" if jpeg else ".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise KelpError("the resulting image could not be encoded")
    return data.tobytes()
