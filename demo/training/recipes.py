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

    layers: file of the architecture; pictures: how many training scenes are rendered; photographed_px: sides they are
    rendered at in turn, before they are shrunk to imgsz as a server shrinks them; imgsz: side in pixels the model is
    trained and served at; epochs, batch, rate: AdamW's; measured_pictures: how many held-out quadrats give the card's
    quality; into: folder of the finished files; card: the card that tells of them.
    """

    name: str
    task: Literal["segment", "detect", "pose"]
    layers: Path
    pictures: int
    validation_pictures: int
    photographed_px: tuple[int, ...]
    imgsz: int
    epochs: int
    batch: int
    rate: float
    measured_pictures: int
    into: Path
    card: Path


CORALSEG = Recipe(
    name="pth-yolo-coralsegv4",
    task="segment",
    layers=_HERE / "reef-seg.yaml",
    pictures=800,
    validation_pictures=16,
    photographed_px=(1920, 1152, 768),
    imgsz=384,
    epochs=14,
    batch=8,
    rate=0.003,
    measured_pictures=48,
    into=WEIGHTS,
    card=CARDS / "pth-yolo-coralsegv4.yaml",
)
TINY_DETECT = Recipe(
    name="yolo-tiny-detect",
    task="detect",
    layers=_HERE / "tiny-detect.yaml",
    pictures=240,
    validation_pictures=8,
    photographed_px=(1152, 576),
    imgsz=288,
    epochs=12,
    batch=8,
    rate=0.004,
    measured_pictures=16,
    into=TEST_WEIGHTS,
    card=TEST_WEIGHTS / "yolo-tiny-detect.yaml",
)
TINY_POSE = Recipe(
    name="yolo-tiny-pose",
    task="pose",
    layers=_HERE / "tiny-pose.yaml",
    pictures=240,
    validation_pictures=8,
    photographed_px=(1152, 576),
    imgsz=256,
    epochs=20,
    batch=8,
    rate=0.004,
    measured_pictures=16,
    into=TEST_WEIGHTS,
    card=TEST_WEIGHTS / "yolo-tiny-pose.yaml",
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (CORALSEG, TINY_DETECT, TINY_POSE)}
