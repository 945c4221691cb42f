"""ONNX files by onnxruntime, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kelp.card import Card
from predictors.common.errors import WeightsError
from predictors.common.onnx import open_session
from predictors.lama.engine import Floats


class OnnxEngine:
    """Inputs `image` and `mask`, whose height and width are open; one output."""

    def __init__(self, file: Path, card: Card) -> None:
        """WeightsError if the file cannot be used, or the card demands a device that is not there."""
        self._session = open_session(file, card)
        found = {value.name: len(value.shape) for value in self._session.get_inputs()}
        if found != {"image": 4, "mask": 4} or len(self._session.get_outputs()) != 1:
            raise WeightsError(f"{file.name}: expected inputs image and mask [n, c, h, w] and one output, got {found}")

    def run(self, images: Floats, masks: Floats) -> Floats:
        (filled,) = self._session.run(None, {"image": images, "mask": masks})
        return np.asarray(filled, np.float32)

    def free_cached_memory(self) -> None:
        """Nothing to do: onnxruntime keeps its arena for as long as the session lives."""
