"""How good a segmenter is on quadrats nobody trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.reef import GENUS_NAMES, Scene, render

_Image = NDArray[np.uint8]
_Masks = NDArray[np.bool_]
Segmenter = Callable[[_Image], tuple[NDArray[np.int32], NDArray[np.float32], _Masks]]
"""uint8 [H, W, 3] RGB → class ids int32 [D], scores float32 [D], masks bool [D, H, W]."""


@dataclass
class Tally:
    """Matches counted over pictures, by genus: int arrays [16]; overlap: sum of the matches' IoU."""

    matched: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(GENUS_NAMES), np.int64))
    predicted: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(GENUS_NAMES), np.int64))
    true: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(GENUS_NAMES), np.int64))
    overlap: float = 0.0
    best_overlap: float = 0.0

    @property
    def precision(self) -> float:
        return float(self.matched.sum() / max(self.predicted.sum(), 1))

    @property
    def recall(self) -> float:
        return float(self.matched.sum() / max(self.true.sum(), 1))

    @property
    def f1(self) -> float:
        """Over all colonies: 2·matched / (predicted + true)."""
        return float(2 * self.matched.sum() / max((self.predicted + self.true).sum(), 1))

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the matched pairs."""
        return self.overlap / max(int(self.matched.sum()), 1)

    @property
    def mean_iou_of_truth(self) -> float:
        """Mean over all true colonies of the best IoU with a prediction of their genus; 0 where there is none."""
        return self.best_overlap / max(int(self.true.sum()), 1)

    def f1_of(self, genus: int) -> float:
        both = self.predicted[genus] + self.true[genus]
        return float(2 * self.matched[genus] / both) if both else float("nan")


def overlaps(masks: _Masks, instances: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """IoU of each mask (bool [D, H, W]) with each of `count` numbered instances (int32 [H, W]): float64 [D, count]."""
    sizes = np.bincount(instances.ravel(), minlength=count + 1)[1:]
    iou = np.zeros((len(masks), count))
    for row, mask in enumerate(masks):
        shared = np.bincount(instances[mask], minlength=count + 1)
        iou[row] = shared[1:] / np.maximum(shared.sum() + sizes - shared[1:], 1)
    return iou


def match(
    tally: Tally,
    truth: Scene,
    kinds: NDArray[np.int32],
    scores: NDArray[np.float32],
    masks: _Masks,
    threshold: float = 0.5,
) -> None:
    """Adds one picture to the tally.

    By falling score, each prediction takes the free colony of its genus it overlaps most, if by `threshold` at least.
    """
    iou = overlaps(masks, truth.instances, len(truth))
    iou[kinds[:, None] != truth.genus_ids[None, :]] = 0
    tally.best_overlap += float(iou.max(axis=0).sum()) if len(kinds) else 0.0
    np.add.at(tally.predicted, kinds, 1)
    np.add.at(tally.true, truth.genus_ids, 1)
    free = iou.copy()
    for row in np.argsort(-scores, kind="stable"):
        if not free.shape[1]:
            break
        column = int(free[row].argmax())
        if free[row, column] >= threshold:
            tally.matched[kinds[row]] += 1
            tally.overlap += float(iou[row, column])
            free[:, column] = 0


def evaluate(segmenter: Segmenter, seeds: Iterable[int], size: int = 1920) -> Iterator[tuple[Tally, Tally]]:
    """Measures over the quadrats of `seeds`, rendered at `size`.

    After each, yields the tallies so far: with the grid in the picture, and without.
    """
    gridded, bare = Tally(), Tally()
    for seed in seeds:
        scene = render(seed, size)
        match(gridded, scene, *segmenter(scene.image))
        match(bare, scene, *segmenter(scene.image_without_grid))
        yield gridded, bare


def ultralytics_segmenter(weights: Path, imgsz: int, conf: float = 0.25, iou: float = 0.5) -> Segmenter:
    """ultralytics' own predict on a .pt or .onnx file, masks at the picture's size."""
    from ultralytics import YOLO

    model = YOLO(weights, task="segment")

    def segment(image: _Image) -> tuple[NDArray[np.int32], NDArray[np.float32], _Masks]:
        # ultralytics takes arrays as BGR.
        found = model.predict(
            np.ascontiguousarray(image[..., ::-1]),
            imgsz=imgsz,
            conf=conf,
            iou=iou,
            retina_masks=True,
            verbose=False,
            device="cpu",
        )[0]
        kinds = found.boxes.cls.numpy().astype(np.int32)
        masks = np.zeros((0, *image.shape[:2]), bool) if found.masks is None else found.masks.data.numpy() > 0.5
        return kinds, found.boxes.conf.numpy().astype(np.float32), masks

    return segment


def table(tally: Tally, names: Sequence[str] = GENUS_NAMES) -> str:
    """The tally as text, a line a genus."""
    lines = [f"{'genus':<14}{'true':>6}{'found':>7}{'right':>7}{'F1':>8}"]
    for genus, name in enumerate(names):
        row = (tally.true[genus], tally.predicted[genus], tally.matched[genus])
        lines.append(f"{name:<14}{row[0]:>6}{row[1]:>7}{row[2]:>7}{tally.f1_of(genus):>8.3f}")
    lines.append(f"{'all':<14}{tally.true.sum():>6}{tally.predicted.sum():>7}{tally.matched.sum():>7}{tally.f1:>8.3f}")
    lines.append(
        f"precision {tally.precision:.3f}, recall {tally.recall:.3f}, "
        f"mean IoU {tally.mean_iou:.3f} of matches, {tally.mean_iou_of_truth:.3f} of all colonies"
    )
    return "\n".join(lines)
