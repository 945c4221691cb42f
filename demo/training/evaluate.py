"""Matching what a model found with what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from demo.reef import GENUS_NAMES


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


def mask_figures(gridded: Tally, bare: Tally) -> dict[str, float]:
    """What a card says of masks found on pictures with the grid, and on the same ones without it."""
    return {
        "colonies": int(gridded.true.sum()),
        "mask_f1_at_iou_0.5": round(gridded.f1, 3),
        "precision": round(gridded.precision, 3),
        "recall": round(gridded.recall, 3),
        "mean_iou_of_matches": round(gridded.mean_iou, 3),
        "mean_iou_of_all_colonies": round(gridded.mean_iou_of_truth, 3),
        "mask_f1_at_iou_0.5_without_grid": round(bare.f1, 3),
    }


def mask_overlaps(masks: NDArray[np.bool_], instances: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """IoU of each mask (bool [D, H, W]) with each of `count` numbered instances (int32 [H, W]): float64 [D, count]."""
    sizes = np.bincount(instances.ravel(), minlength=count + 1)[1:]
    iou = np.zeros((len(masks), count))
    for row, mask in enumerate(masks):
        shared = np.bincount(instances[mask], minlength=count + 1)
        iou[row] = shared[1:] / np.maximum(shared.sum() + sizes - shared[1:], 1)
    return iou


def box_overlaps(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of boxes, x1 y1 x2 y2 (x2, y2 exclusive): float64 [D, 4] and [N, 4] → [D, N]."""
    low = np.maximum(found[:, None, :2], true[None, :, :2])
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    either = (found[:, 2:] - found[:, :2]).prod(axis=1)[:, None] + (true[:, 2:] - true[:, :2]).prod(axis=1) - shared
    return np.asarray(shared / np.maximum(either, 1e-9))


def match(
    tally: Tally,
    true_kinds: NDArray[np.int32],
    kinds: NDArray[np.int32],
    scores: NDArray[np.float32],
    overlaps: NDArray[np.float64],
    threshold: float = 0.5,
) -> None:
    """Adds one picture: N colonies of true_kinds [N], D finds of kinds and scores [D], IoU of each pair [D, N].

    By falling score, each find takes the free colony of its genus it overlaps most, if by `threshold` at least.
    """
    iou = np.where(kinds[:, None] == true_kinds[None, :], overlaps, 0.0)
    np.add.at(tally.predicted, kinds, 1)
    np.add.at(tally.true, true_kinds, 1)
    if not iou.size:
        return
    tally.best_overlap += float(iou.max(axis=0).sum())
    free = iou.copy()
    for row in np.argsort(-scores, kind="stable"):
        column = int(free[row].argmax())
        if free[row, column] >= threshold:
            tally.matched[kinds[row]] += 1
            tally.overlap += float(iou[row, column])
            free[:, column] = 0


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
