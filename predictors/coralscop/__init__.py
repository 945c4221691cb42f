"""Coral colonies by CoralSCoP (Segment Anything's automatic masks), the class of each from a semantic map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kelp.card import Card
from predictors.model import Model


def create(card: Card, files: Mapping[str, Path]) -> Model:
    """The model of a card of runtime `coralscop`: roles `segformer_config`, `segformer`, `sam`. Loads nothing yet."""
    from predictors.coralscop.model import CoralscopModel

    return CoralscopModel(card, files)
