"""The demo's figures say what is true: perfect work scores perfectly, a known mistake costs what it should."""

from __future__ import annotations

import numpy as np
import pytest

from demo.reef import GRID_SHAPE, TEMPLATE_GRID, Scene, render
from demo.show.score import score_areas, score_points, score_removal
from demo.show.truth import Truth, corners_of, cropped
from predictors.lama.mask import grid_mask

SIDE = 480


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render(40_001, SIDE)


@pytest.fixture(scope="module")
def truth(scene: Scene) -> Truth:
    return cropped(scene, corners_of(scene), SIDE)


def test_a_crop_by_the_true_corners_has_the_template_for_its_grid(truth: Truth) -> None:
    assert np.abs(truth.grid - TEMPLATE_GRID * SIDE).max() < 0.05


def test_what_is_true_of_a_crop_lies_where_its_picture_shows_it(truth: Truth) -> None:
    on_strings = grid_mask(truth.grid.astype(np.float32), GRID_SHAPE, 1.0, (SIDE, SIDE)) > 0
    changed = np.abs(truth.image.astype(int) - truth.bare).sum(axis=2)
    assert np.median(changed[on_strings]) > 10 * max(1.0, float(np.median(changed[~on_strings])))


def test_points_in_their_places_and_a_swapped_pair(truth: Truth) -> None:
    assert score_points(truth.grid, truth.grid).error_px == 0
    swapped = truth.grid.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    assert score_points(swapped, truth.grid).placed == pytest.approx(115 / 117)


def test_the_photograph_itself_is_no_better_than_painting_over(truth: Truth) -> None:
    mask = grid_mask(truth.grid.astype(np.float32), GRID_SHAPE, 4.0, (SIDE, SIDE))
    untouched = score_removal(truth.image, mask, truth)
    assert untouched.psnr_db < untouched.inpaint_db < score_removal(truth.bare, mask, truth).psnr_db


def test_the_true_masks_score_one_and_a_wrong_genus_costs(truth: Truth) -> None:
    names = {number: genus for number, (_, genus) in enumerate(truth.colonies)}
    shapes = [
        {"type": "mask", "label_id": number, "points": _cvat_mask(mask)}
        for number, (mask, _) in enumerate(truth.colonies)
    ]
    perfect = score_areas(shapes, names, truth)
    assert (perfect.f1, perfect.iou, perfect.shapes) == (1.0, 1.0, len(truth.colonies))
    other = next(genus for genus in names.values() if genus != names[0])
    assert score_areas(shapes, {**names, 0: other}, truth).f1 < 1


def _cvat_mask(mask: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(mask)
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    flat = mask[top : bottom + 1, left : right + 1].ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat.astype(int), [0]])))
    runs = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return [*runs.tolist(), int(left), int(top), int(right), int(bottom)]
