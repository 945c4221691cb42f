"""Removal of a string grid, or of whatever a mask covers, by a network in the manner of LaMa (TorchScript or ONNX)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kelp.card import Card
from predictors.model import Model


def create(card: Card, files: Mapping[str, Path]) -> Model:
    """The model of a card of runtime `lama`; `files["model"]` is its TorchScript or ONNX file. Loads nothing yet."""
    from predictors.lama.model import LamaModel

    return LamaModel(card, files)
