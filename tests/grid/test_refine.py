"""Points measured on the photograph itself: exact where frame and strings are seen, untouched where they are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo.reef import GRID_SHAPE, TEMPLATE_CORNERS, TEMPLATE_GRID, Scene, project, render
from kelp.geometry.quadrat import crop_quadrat
from predictors.grid.homography import refine as homography_of
from predictors.grid.refine import refine_corners, refine_grid

SIZE = 960
TURNS = [0.0, 38.0, 90.0, 207.0]


@pytest.fixture(scope="module")
def scenes() -> dict[float, Scene]:
    return {turn: render(30_100 + int(turn), SIZE, turn=turn, hidden=0.1) for turn in TURNS}


def rough(scene: Scene, off_px: float, seed: int = 0) -> NDArray[np.float64]:
    """The corners (half-open) as a model sees them."""
    return scene.corners + 0.5 + np.random.default_rng(seed).normal(0, off_px, (4, 2))


def view_of(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = homography_of(TEMPLATE_CORNERS, corners)
    assert matrix is not None
    return matrix


@pytest.mark.parametrize("turn", TURNS)
def test_corners_are_where_the_frames_inner_edges_meet(scenes: dict[float, Scene], turn: float) -> None:
    scene = scenes[turn]
    found = refine_corners(scene.image, rough(scene, 9))
    assert found is not None
    assert np.median(np.hypot(*(found.points - 0.5 - scene.corners).T)) < 2
    assert found.sides == 4
    assert found.seen.tolist() == [1, 1, 1, 1]
    # Those that went the other way round keep their order too.
    backwards = refine_corners(scene.image, rough(scene, 9)[::-1])
    assert backwards is not None
    np.testing.assert_allclose(backwards.points[::-1], found.points, atol=0.5)


@pytest.mark.parametrize("turn", TURNS)
def test_crossings_are_where_the_strings_meet_and_hidden_ones_are_told(scenes: dict[float, Scene], turn: float) -> None:
    scene = scenes[turn]
    found = refine_grid(scene.image, TEMPLATE_GRID, GRID_SHAPE, view_of(rough(scene, 7)))
    assert found is not None
    errors = np.hypot(*(found.points - 0.5 - scene.grid_points).T)
    assert np.median(errors) < 0.7
    assert errors.max() < 4
    seen = found.seen >= 0.5
    assert seen[~scene.hidden].mean() > 0.9
    assert seen[scene.hidden].mean() < 0.75
    np.testing.assert_allclose(project(found.matrix, TEMPLATE_GRID) - 0.5, scene.grid_points, atol=1.5)


@pytest.mark.parametrize("shift", [(1, 0), (0, -1), (-1, 1)])
def test_a_grid_that_was_seen_one_string_off_comes_into_its_slots(
    scenes: dict[float, Scene], shift: tuple[int, int]
) -> None:
    scene = scenes[38.0]
    rows, columns = GRID_SHAPE
    moved = TEMPLATE_CORNERS + np.array([shift[0] / (columns + 1), shift[1] / (rows + 1)])
    view = view_of(project(scene.homography, moved) + 0.5)
    found = refine_grid(scene.image, TEMPLATE_GRID, GRID_SHAPE, view)
    assert found is not None
    assert np.median(np.hypot(*(found.points - 0.5 - scene.grid_points).T)) < 0.7


def test_a_crop_whose_border_is_the_last_string_but_one_is_measured_too(scenes: dict[float, Scene]) -> None:
    scene = scenes[90.0]
    image = crop_quadrat(scene.image, scene.corners + 0.5, SIZE)
    view = np.array([[SIZE * 1.01, 6, -8], [-7, SIZE * 0.99, 9], [0, 0, 1.0]])
    found = refine_grid(image, TEMPLATE_GRID, GRID_SHAPE, view)
    assert found is not None
    assert np.median(np.hypot(*(found.points - TEMPLATE_GRID * SIZE).T)) < 0.7


def test_strings_that_a_lens_has_bent_are_followed(scenes: dict[float, Scene]) -> None:
    scene = scenes[0.0]
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    strength = 0.012 / (SIZE / 2) ** 2

    def source(px: NDArray[np.floating], py: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        dx, dy = px - SIZE / 2, py - SIZE / 2
        grown = 1 + strength * (dx * dx + dy * dy)
        return SIZE / 2 + dx * grown, SIZE / 2 + dy * grown

    bent = cv2.remap(scene.image, *(np.asarray(part, np.float32) for part in source(x, y)), cv2.INTER_LINEAR)
    true = scene.grid_points.copy()
    for _ in range(20):  # the inverse of `source`
        sx, sy = source(true[:, 0], true[:, 1])
        true += scene.grid_points - np.column_stack([sx, sy])
    found = refine_grid(np.asarray(bent, np.uint8), TEMPLATE_GRID, GRID_SHAPE, view_of(rough(scene, 4)))
    assert found is not None
    errors = np.hypot(*(found.points - 0.5 - true).T)
    straight = np.hypot(*(project(found.matrix, TEMPLATE_GRID) - 0.5 - true).T)
    assert np.median(errors) < 0.7
    assert np.median(errors) < np.median(straight)


def test_large_photographs_are_measured_as_well() -> None:
    scene = render(30_150, SIZE, turn=20.0)
    large = cv2.resize(scene.image, (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_CUBIC)
    found = refine_grid(np.asarray(large, np.uint8), TEMPLATE_GRID, GRID_SHAPE, view_of(4 * rough(scene, 5)))
    assert found is not None
    assert np.median(np.hypot(*(found.points / 4 - 0.5 - scene.grid_points).T)) < 0.7


def test_a_side_that_lies_under_sand_moves_nothing_and_is_told(scenes: dict[float, Scene]) -> None:
    scene = scenes[0.0]
    image = scene.image.copy()
    covered = np.zeros(image.shape[:2], np.uint8)
    start, end = (tuple(np.rint(corner).astype(int).tolist()) for corner in scene.corners[:2])
    cv2.line(covered, start, end, (1,), 120)
    image[covered > 0] = scene.image_without_grid[covered > 0]
    given = rough(scene, 5)
    found = refine_corners(image, given)
    assert found is not None
    assert found.sides == 3
    assert found.seen.tolist() == [0.5, 0.5, 1, 1]
    errors = np.hypot(*(found.points - 0.5 - scene.corners).T)
    assert errors[2:].max() < 3
    # Along the side that is to be seen they are right, across it as the model had them.
    assert (errors[:2] <= np.hypot(*(given - 0.5 - scene.corners).T)[:2] + 3).all()


@pytest.mark.parametrize("seed", range(3))
def test_where_there_is_no_frame_and_no_grid_nothing_is_measured(seed: int) -> None:
    bare = render(30_160 + seed, 640, grid=False)
    assert refine_grid(bare.image, TEMPLATE_GRID, GRID_SHAPE, view_of(bare.corners + 0.5)) is None
    gray = np.full((640, 640, 3), 120, np.uint8)
    assert refine_grid(gray, TEMPLATE_GRID, GRID_SHAPE, view_of(bare.corners + 0.5)) is None
    noise = np.random.default_rng(seed).integers(0, 256, (640, 640, 3)).astype(np.uint8)
    for image in (bare.image, gray, noise):
        assert refine_corners(image, bare.corners + 0.5) is None
        assert refine_corners(image, TEMPLATE_CORNERS * 560 + 40) is None


def test_points_outside_the_picture_or_in_one_place_are_left_alone() -> None:
    image = render(30_170, 320).image
    for corners in (TEMPLATE_CORNERS * 300 + 5000, TEMPLATE_CORNERS * 1e-3, np.full((4, 2), np.nan)):
        assert refine_corners(image, corners) is None
    far = np.array([[300, 0, 9000], [0, 300, 9000], [0, 0, 1.0]])
    assert refine_grid(image, TEMPLATE_GRID, GRID_SHAPE, far) is None
