"""A model that finds nothing in no time: what remains is the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kelp.card import Card
from kelp.detections import Predictions
from predictors.model import Item, Model


class Nothing(Model):
    def load(self) -> None:
        pass

    @property
    def labels(self) -> tuple[str, ...]:
        return ("nothing",)

    def preprocess(self, items: Sequence[Item]) -> Any:
        return None

    def predict(self, batch: Any) -> Any:
        return None

    def postprocess(self, raw: Any, items: Sequence[Item]) -> list[Predictions]:
        none = np.empty(0, np.float32)
        return [
            Predictions((i.image.shape[0], i.image.shape[1]), none.astype(np.int32), none, none.reshape(0, 4))
            for i in items
        ]


def create(card: Card, files: Mapping[str, Path]) -> Model:
    return Nothing(card, files)
