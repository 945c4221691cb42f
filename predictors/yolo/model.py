"""YOLO as a model of Kelp: one preprocessing and one postprocessing around either engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kelp.card import Card
from kelp.detections import Predictions
from kelp.errors import NotReady
from predictors.common.errors import WeightsError
from predictors.common.memory import is_out_of_memory
from predictors.model import Item, Model
from predictors.yolo.answers import predictions_of
from predictors.yolo.candidates import pick, pick_finished
from predictors.yolo.engine import Engine, Floats, Raw, open_engine
from predictors.yolo.facts import TASKS, labels_for
from predictors.yolo.inputs import Batch, batches_of, letterbox_for


class RawImage(NamedTuple):
    """The network's answer for one image: see `Raw`, less the first axis."""

    prediction: Floats
    protos: Floats | None


class YoloModel(Model):
    """A YOLO of the ultralytics family: segments, boxes or poses."""

    def __init__(self, card: Card, files: Mapping[str, Path]) -> None:
        super().__init__(card, files)
        if card.task not in TASKS:
            raise WeightsError(f"{card.name}: runtime 'yolo' has the tasks {', '.join(TASKS)}, not '{card.task}'")
        if "model" not in self.files:
            raise WeightsError(f"{card.name}: expected a file with the role 'model', got {', '.join(self.files)}")
        self._file = self.files["model"]
        self._engine: Engine | None = None
        self._labels: tuple[str, ...] = ()

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise NotReady(f"{self.card.model_name}: the weights are not loaded yet")
        return self._engine

    @property
    def labels(self) -> tuple[str, ...]:
        return self._labels

    def load(self) -> None:
        engine = open_engine(self._file, self.card)
        self._labels = labels_for(self.card, engine.facts, self._file.name)
        self._engine = engine

    def warm_up_items(self) -> Sequence[Item]:
        """One gray image: everything is asked for, and a little is found, so that every step runs once."""
        height, width = self.engine.facts.input_hw
        settings = {"conf_threshold": 0.0, "iou_threshold": 0.5, "max_detections": 4}
        everything = frozenset({"mask_rle", "keypoints"})
        return (Item(np.full((height, width, 3), 128, np.uint8), settings, everything),)

    def preprocess(self, items: Sequence[Item]) -> list[Batch]:
        return batches_of([item.image for item in items], self.engine.facts)

    def predict(self, batch: list[Batch]) -> list[RawImage]:
        answers: dict[int, RawImage] = {}
        for items, images in batch:
            raw = self.engine.run(images)
            self._check(raw, len(items))
            for place, number in enumerate(items):
                protos = None if raw.protos is None else raw.protos[place]
                answers[number] = RawImage(raw.predictions[place], protos)
        return [answers[number] for number in range(len(answers))]

    def postprocess(self, raw: list[RawImage], items: Sequence[Item]) -> list[Predictions]:
        return [self._read(answer, item) for answer, item in zip(raw, items, strict=True)]

    def is_out_of_memory(self, error: BaseException) -> bool:
        return super().is_out_of_memory(error) or is_out_of_memory(error)

    def free_cached_memory(self) -> None:
        self.engine.free_cached_memory()

    def _read(self, raw: RawImage, item: Item) -> Predictions:
        facts, settings = self.engine.facts, item.settings
        conf, most = settings["conf_threshold"], settings["max_detections"]
        if facts.finished:
            found = pick_finished(raw.prediction, conf, most)
        else:
            found = pick(raw.prediction, len(self._labels), conf, settings["iou_threshold"], most)
        letterbox = letterbox_for((item.image.shape[0], item.image.shape[1]), facts)
        return predictions_of(found, letterbox, item.outputs, raw.protos, facts.keypoint_shape)

    def _check(self, raw: Raw, images: int) -> None:
        """Refuses an answer that does not belong to this card: its first batch is the warm-up."""
        extra = 0
        if self.card.task == "segment":
            extra = -1 if raw.protos is None or raw.protos.ndim != 4 else raw.protos.shape[1]
        elif self.card.task == "pose":
            shape = self.engine.facts.keypoint_shape
            extra = shape[0] * shape[1] if shape else -1
        if self.engine.facts.finished:
            fits = raw.predictions.ndim == 3 and raw.predictions.shape[2] == 6 + extra
        else:
            fits = raw.predictions.ndim == 3 and raw.predictions.shape[1] == 4 + len(self._labels) + extra
        if extra < 0 or not fits or len(raw.predictions) != images:
            protos = None if raw.protos is None else list(raw.protos.shape)
            raise WeightsError(
                f"{self._file.name}: the network's answer {list(raw.predictions.shape)}, prototypes {protos}, is not "
                f"that of a '{self.card.task}' model with {len(self._labels)} labels"
            )
