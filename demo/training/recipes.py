"""What is trained, on how much, for how long: one recipe a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
WEIGHTS = _ROOT / "demo" / "weights"
RUNS = WEIGHTS / "runs"
"""Pictures and checkpoints; not part of the repository."""
CARDS = _ROOT / "environments" / "models"
TEST_WEIGHTS = _ROOT / "tests" / "data" / "weights"


@dataclass(frozen=True)
class Recipe:
    """One model's training.

    layers: file of the architecture; pictures: how many training scenes are rendered, at picture_px a side; imgsz: side
    in pixels the model is trained and served at; epochs, batch, rate: AdamW's; into: folder of the finished files;
    card: the card that tells of them, None for the tests' own models.
    """

    name: str
    task: Literal["segment", "detect", "pose"]
    layers: Path
    pictures: int
    validation_pictures: int
    picture_px: int
    imgsz: int
    epochs: int
    batch: int
    rate: float
    into: Path
    card: Path | None = None


CORALSEG = Recipe(
    name="pth-yolo-coralsegv4",
    task="segment",
    layers=_HERE / "reef-seg.yaml",
    pictures=800,
    validation_pictures=16,
    picture_px=768,
    imgsz=384,
    epochs=14,
    batch=8,
    rate=0.003,
    into=WEIGHTS,
    card=CARDS / "pth-yolo-coralsegv4.yaml",
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (CORALSEG,)}
