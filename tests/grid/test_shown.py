"""Points that the picture does not show are told, those outside of it above all."""

from __future__ import annotations

import numpy as np
import pytest

from demo.reef import GRID_SHAPE, TEMPLATE_CORNERS, TEMPLATE_GRID, Scene, render
from kelp.geometry.quadrat import crop_quadrat
from predictors.grid.homography import refine as homography_of
from predictors.grid.matching import Matched
from predictors.grid.shown import shown, unseen_outside
from predictors.grid.template import Template, make_template

SIZE = 960


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render(30_180, SIZE, turn=12.0)


def matched(template: Template, places: np.ndarray) -> Matched:
    view = homography_of(template.points, places)
    assert view is not None
    return Matched(np.column_stack([places, np.full(len(places), 0.9)]).astype(np.float32), view)


def test_crossings_beyond_the_border_are_not_seen(scene: Scene) -> None:
    image = crop_quadrat(scene.image, scene.corners + 0.5, SIZE)
    wide = round(SIZE * 11.6 / 14)  # through the strings, beyond the eleventh
    grid = make_template(TEMPLATE_GRID)
    found = shown(grid, matched(grid, TEMPLATE_GRID * SIZE), np.ascontiguousarray(image[:, :wide]), GRID_SHAPE)
    assert found.share == 1
    points = found.keypoints
    beyond = points[:, 0] > wide
    assert beyond.sum() == 18
    assert points[beyond, 2].max() < 0.5
    assert unseen_outside(points, (SIZE, wide))[beyond, 2].max() == 0
    assert (points[~beyond, 2] >= 0.5).mean() > 0.8


def test_of_a_frame_that_is_cut_off_the_sides_in_the_picture_count(scene: Scene) -> None:
    corners = scene.corners + 0.5
    high = int(np.sort(corners[:, 1])[2] - 20)
    square = make_template(TEMPLATE_CORNERS)
    found = shown(square, matched(square, corners), np.ascontiguousarray(scene.image[:high]), None)
    assert found.share == 0.75
    below = corners[:, 1] > high
    assert below.sum() == 2
    assert found.keypoints[below, 2].max() < 0.5
    assert found.keypoints[~below, 2].tolist() == pytest.approx([0.9, 0.9])
    assert unseen_outside(found.keypoints, (high, SIZE))[below, 2].tolist() == [0, 0]


@pytest.mark.parametrize("picture", ["reef", "black"])
def test_what_the_picture_does_not_show_has_no_share(scene: Scene, picture: str) -> None:
    image = scene.image_without_grid if picture == "reef" else np.zeros_like(scene.image)
    for template, places in ((TEMPLATE_CORNERS, scene.corners), (TEMPLATE_GRID, scene.grid_points)):
        one = make_template(template)
        given = matched(one, places + 0.5)
        found = shown(one, given, image, None)
        assert found.share == 0
        np.testing.assert_array_equal(found.keypoints[:, :2], given.keypoints[:, :2])
        assert found.keypoints[:, 2].max() == 0
