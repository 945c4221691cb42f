"""How well each stage did its work, against what is true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef import GENUS_NAMES
from demo.show.truth import Truth

_SAME = 0.5  # IoU from which on a shape is a colony's


@dataclass(frozen=True)
class PointScore:
    """error_px: the median distance of the points; placed: the share that lies nearer to its own place than to any
    other's, 0..1."""

    error_px: float
    placed: float


@dataclass(frozen=True)
class RemovalScore:
    """psnr_db: of the pixels that were painted over, against the reef behind them; inpaint_db: OpenCV's inpainting."""

    psnr_db: float
    inpaint_db: float


@dataclass(frozen=True)
class AreaScore:
    """iou: pixels of the right genus over pixels that either side calls coral; f1: of shapes as masks, a colony found
    from IoU 0.5 on with its genus; shapes, colonies: counts."""

    iou: float
    f1: float
    shapes: int
    colonies: int


def score_points(found: NDArray[np.float64], true: NDArray[np.float64]) -> PointScore:
    """found, true: float64 [K, 2], in the same order."""
    apart = np.linalg.norm(found[:, None] - true[None], axis=2)
    own = np.diagonal(apart)
    return PointScore(float(np.median(own)), float((own <= apart.min(axis=1)).mean()))


def score_removal(cleaned: NDArray[np.uint8], mask: NDArray[np.uint8], truth: Truth) -> RemovalScore:
    """cleaned: uint8 [S, S, 3] RGB, as the new task holds it; mask: uint8 [S, S], what was to be painted over."""
    painted = cv2.inpaint(np.ascontiguousarray(truth.image), mask, 3, cv2.INPAINT_TELEA)
    return RemovalScore(_psnr(cleaned, truth.bare, mask), _psnr(np.asarray(painted, np.uint8), truth.bare, mask))


def score_areas(shapes: Iterable[Mapping[str, Any]], genus_by_label: Mapping[int, str], truth: Truth) -> AreaScore:
    """The shapes that CVAT holds on one frame."""
    shapes = list(shapes)
    colonies = truth.colonies
    true = draw_genera([(mask, genus) for mask, genus in colonies], truth.instances.shape)
    areas = [(shape_pixels(shape, true.shape), genus_by_label[shape["label_id"]]) for shape in shapes]
    drawn = draw_genera(areas, true.shape)
    either = int(np.count_nonzero((true > 0) | (drawn > 0)))
    right = int(np.count_nonzero((true == drawn) & (true > 0)))
    iou = right / either if either else 1.0
    return AreaScore(iou, _f1(areas, colonies), len(shapes), len(colonies))


def draw_genera(areas: Sequence[tuple[NDArray[np.bool_], str]], size_hw: tuple[int, ...]) -> NDArray[np.uint8]:
    """uint8 [H, W]: 0 where there is no coral, else 1 + the genus's number; small areas over large ones."""
    canvas = np.zeros(size_hw[:2], np.uint8)
    for pixels, genus in sorted(areas, key=lambda area: -int(np.count_nonzero(area[0]))):
        canvas[pixels] = 1 + GENUS_NAMES.index(genus)
    return canvas


def shape_pixels(shape: Mapping[str, Any], size_hw: tuple[int, ...]) -> NDArray[np.bool_]:
    """bool [H, W]: the pixels inside a shape as CVAT stores it. ValueError for a kind the demo does not write."""
    canvas = np.zeros(size_hw[:2], np.uint8)
    points = np.asarray(shape["points"], np.float64)
    if shape["type"] in {"polygon", "polyline"}:
        # Contours run along pixel edges: half a pixel back are the centres that OpenCV fills.
        cv2.fillPoly(canvas, [np.round((points.reshape(-1, 2) - 0.5) * 16).astype(np.int32)], 1, shift=4)
    elif shape["type"] == "mask":
        runs, (left, top, right, bottom) = points[:-4].astype(int), points[-4:].astype(int)
        flat = np.repeat(np.arange(len(runs)) & 1, runs)
        canvas[top : bottom + 1, left : right + 1] = flat.reshape(bottom - top + 1, right - left + 1)
    else:
        raise ValueError(f"shapes of type {shape['type']} have no area here")
    return canvas.astype(bool)


def _psnr(found: NDArray[np.uint8], true: NDArray[np.uint8], mask: NDArray[np.uint8]) -> float:
    apart = found[mask > 0].astype(np.float64) - true[mask > 0]
    return float(10 * np.log10(255**2 / max(float((apart**2).mean()), 1e-9)))


def _f1(found: Sequence[tuple[NDArray[np.bool_], str]], true: Sequence[tuple[NDArray[np.bool_], str]]) -> float:
    """Pairs of one genus whose masks agree best, each taken once."""
    pairs = []
    for i, (ours, genus) in enumerate(found):
        for j, (theirs, other) in enumerate(true):
            if genus == other and (common := int(np.count_nonzero(ours & theirs))):
                pairs.append((common / int(np.count_nonzero(ours | theirs)), i, j))
    used_found, used_true = set(), set()
    for iou, i, j in sorted(pairs, reverse=True):
        if iou >= _SAME and i not in used_found and j not in used_true:
            used_found.add(i)
            used_true.add(j)
    return 2 * len(used_found) / max(len(found) + len(true), 1)
