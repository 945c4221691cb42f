"""What is trained, on how much, for how long: one recipe a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from demo.reef import GENUS_NAMES

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
WEIGHTS = _ROOT / "demo" / "weights"
RUNS = WEIGHTS / "runs"
"""Pictures and checkpoints; not part of the repository."""
CARDS = _ROOT / "environments" / "models"
TEST_WEIGHTS = _ROOT / "tests" / "data" / "weights"
BANGGAI_GENERA = (
    "Acropora",
    "Porites",
    "Pocillopora",
    "Montipora",
    "Favites",
    "Fungia",
    "Galaxea",
    "Turbinaria",
    "Heliopora",
    "Stylophora",
)
"""The genera that are labelled around the Banggai islands; the others grow there too, and are no one's label."""


@dataclass(frozen=True)
class Recipe:
    """One model's training.

    layers: file of the architecture; pictures: how many training scenes are rendered; photographed_px: sides they are
    rendered at in turn, before they are shrunk to imgsz as a server shrinks them; imgsz: side in pixels the model is
    trained and served at; epochs, batch, rate: AdamW's; measured_pictures: how many held-out quadrats give the card's
    quality; into: folder of the finished files; card: the card that tells of them; genera: those that are labelled, all
    by default; begin_with: weights of the same layers to go on from.
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
    genera: tuple[str, ...] = GENUS_NAMES
    begin_with: Path | None = None


@dataclass(frozen=True)
class QuadratTraining:
    """One network learns all points of a quadrat, on pictures that are drawn as they are needed.

    crops: share of pictures that show the opening alone; grounds: bare pictures that quadrats are drawn over; imgsz:
    side in pixels; steps, batch, rate: AdamW's.
    """

    name: str
    layers: Path
    crops: float
    grounds: int
    imgsz: int
    steps: int
    batch: int
    rate: float


@dataclass(frozen=True)
class PoseRecipe:
    """A quadrat's pose model: some of the points of a network that has learned all of them.

    training: that network's; first, points: which of its points, in the order of `views.POINTS`, and how many; label:
    the skeleton's name; template: file of the points' ideal places; measured_pictures: how many held-out quadrats give
    the card's quality; into, card: as a Recipe's.
    """

    name: str
    training: QuadratTraining
    first: int
    points: int
    label: str
    template: str
    measured_pictures: int
    into: Path
    card: Path
    task: Literal["pose"] = "pose"

    @property
    def imgsz(self) -> int:
        return self.training.imgsz


@dataclass(frozen=True)
class InpaintRecipe:
    """The small inpainter: pictures: training quadrats; patch: side of a training patch; others as a PoseRecipe's."""

    name: str
    pictures: int
    patch: int
    width: int
    steps: int
    batch: int
    rate: float
    measured_pictures: int
    into: Path
    card: Path
    task: Literal["inpaint"] = "inpaint"


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
BANGGAI = Recipe(
    name="pth-yolo-coralsegbanggai",
    task="segment",
    layers=CORALSEG.layers,
    pictures=480,
    validation_pictures=CORALSEG.validation_pictures,
    photographed_px=CORALSEG.photographed_px,
    imgsz=CORALSEG.imgsz,
    epochs=2,
    batch=8,
    rate=0.0008,
    measured_pictures=16,
    into=WEIGHTS,
    card=CARDS / "pth-yolo-coralsegbanggai.yaml",
    genera=BANGGAI_GENERA,
    begin_with=WEIGHTS / "pth-yolo-coralsegv4.pt",
)
QUADRAT = QuadratTraining(
    name="quadrat-pose",
    layers=_HERE / "pose" / "quadrat-pose.yaml",
    crops=0.35,
    grounds=120,
    imgsz=256,
    steps=1000,
    batch=24,
    rate=0.003,
)
GRIDCORNERS = PoseRecipe(
    name="pth-yolo-gridcorners",
    training=QUADRAT,
    first=0,
    points=4,
    label="quadrat",
    template="kp_template_corners.npy",
    measured_pictures=16,
    into=WEIGHTS,
    card=CARDS / "pth-yolo-gridcorners.yaml",
)
GRIDPOSE = PoseRecipe(
    name="pth-yolo-gridpose",
    training=QUADRAT,
    first=4,
    points=117,
    label="grid",
    template="kp_template.npy",
    measured_pictures=16,
    into=WEIGHTS,
    card=CARDS / "pth-yolo-gridpose.yaml",
)
LAMA = InpaintRecipe(
    name="pth-lama",
    pictures=20,
    patch=128,
    width=32,
    steps=900,
    batch=16,
    rate=0.003,
    measured_pictures=12,
    into=WEIGHTS,
    card=CARDS / "pth-lama.yaml",
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
AnyRecipe = Recipe | PoseRecipe | InpaintRecipe
RECIPES: dict[str, AnyRecipe] = {
    recipe.name: recipe for recipe in (CORALSEG, BANGGAI, GRIDCORNERS, GRIDPOSE, LAMA, TINY_DETECT, TINY_POSE)
}
"""In the order in which they are trained: some begin with what others have learned."""
