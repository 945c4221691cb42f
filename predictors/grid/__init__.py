"""Quadrats by their points: a YOLO pose model whose keypoints are put into the order of a template.

Four corners, or the crossings of a string grid: what differs between them is the template alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kelp.card import Card
from predictors.model import Model


def create(card: Card, files: Mapping[str, Path]) -> Model:
    """The model of a card of runtime `grid`: roles `model` (YOLO pose) and `template` (.npy). Loads nothing yet."""
    from predictors.grid.model import GridModel

    return GridModel(card, files)
