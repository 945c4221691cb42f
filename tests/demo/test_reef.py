"""The synthetic reef: what its truth promises, the pictures keep."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest

from demo.reef import (
    DEMO_SEEDS,
    GENERA,
    GENUS_NAMES,
    GRID_SHAPE,
    HELD_OUT_SEEDS,
    TEMPLATE_CORNERS,
    TEMPLATE_GRID,
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    Scene,
    project,
    render,
)
from demo.reef.quadrat import MARK_COLOUR, PIPE_MM, SIDE_MM

SEED = DEMO_SEEDS[0]
SIZE = 480


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render(SEED, SIZE)


def test_the_same_seed_gives_the_same_bytes(scene: Scene) -> None:
    again = render(SEED, SIZE)
    assert again.image.tobytes() == scene.image.tobytes()
    assert again.image_without_grid.tobytes() == scene.image_without_grid.tobytes()
    assert again.instances.tobytes() == scene.instances.tobytes()
    assert again.genus_ids.tolist() == scene.genus_ids.tolist()


def test_another_seed_gives_another_quadrat(scene: Scene) -> None:
    other = render(SEED + 1, SIZE)
    assert np.abs(other.image.astype(int) - scene.image).mean() > 10
    assert not np.allclose(other.corners, scene.corners, atol=1)


def test_another_size_gives_the_same_scene(scene: Scene) -> None:
    larger = render(SEED, 2 * SIZE)
    assert larger.genera == scene.genera
    np.testing.assert_allclose(larger.corners / 2, scene.corners, atol=1e-6)
    shrunk = larger.instances[::2, ::2]
    overlaps = []
    for colony in range(len(scene)):
        one, two = scene.mask(colony), shrunk == colony + 1
        overlaps.append((one & two).sum() / (one | two).sum())
    assert np.mean(overlaps) > 0.9
    assert min(overlaps) > 0.5


def test_the_fields_have_their_documented_form(scene: Scene) -> None:
    assert scene.image.dtype == np.uint8
    assert scene.image.shape == scene.image_without_grid.shape == (SIZE, SIZE, 3)
    assert scene.instances.shape == (SIZE, SIZE)
    assert scene.corners.shape == (4, 2)
    assert scene.grid_points.shape == (GRID_SHAPE[0] * GRID_SHAPE[1], 2) == (117, 2)
    assert scene.genera == [GENUS_NAMES[kind] for kind in scene.genus_ids]


@pytest.mark.parametrize("seed", DEMO_SEEDS)
def test_every_colony_is_seen_once_and_boxes_hold_it(seed: int) -> None:
    scene = render(seed, 320)
    assert len(scene) >= 8
    assert sorted(np.unique(scene.instances)) == list(range(len(scene) + 1))
    covered = np.zeros(scene.instances.shape, int)
    for colony in range(len(scene)):
        mask, (x1, y1, x2, y2) = scene.mask(colony), scene.box(colony)
        assert mask.any()
        assert mask[y1:y2, x1:x2].sum() == mask.sum()
        assert 0 <= x1 < x2 <= 320
        assert 0 <= y1 < y2 <= 320
        covered += mask
    assert covered.max() == 1


def test_grid_and_corners_are_the_template_seen_through_the_homography(scene: Scene) -> None:
    np.testing.assert_allclose(project(scene.homography, TEMPLATE_GRID), scene.grid_points, atol=1e-9)
    np.testing.assert_allclose(project(scene.homography, TEMPLATE_CORNERS), scene.corners, atol=1e-9)
    fitted, _ = cv2.findHomography(TEMPLATE_GRID, scene.grid_points)
    np.testing.assert_allclose(project(fitted, TEMPLATE_CORNERS), scene.corners, atol=1e-3)
    assert cv2.isContourConvex(scene.corners.astype(np.float32))


def test_grid_points_run_row_by_row_from_the_first_corner() -> None:
    rows, columns = GRID_SHAPE
    grid = TEMPLATE_GRID.reshape(rows, columns, 2)
    assert np.all(np.diff(grid[..., 0], axis=1) > 0)
    assert np.all(np.diff(grid[..., 1], axis=0) > 0)
    assert np.linalg.norm(TEMPLATE_GRID - TEMPLATE_CORNERS[0], axis=1).argmin() == 0
    assert np.linalg.norm(TEMPLATE_GRID - TEMPLATE_CORNERS[2], axis=1).argmin() == 116


def test_strings_cross_at_the_grid_points() -> None:
    scene = render(SEED, 960)
    drawn = np.abs(scene.image.astype(int) - scene.image_without_grid).max(axis=2) > 8
    at = np.rint(scene.grid_points).astype(int)
    assert np.mean(drawn[at[:, 1], at[:, 0]]) > 0.97
    # In the middle of the meshes there is nothing drawn.
    middle = TEMPLATE_GRID.reshape(*GRID_SHAPE, 2)
    centres = (middle[:-1, :-1] + middle[1:, 1:]).reshape(-1, 2) / 2
    off = np.rint(project(scene.homography, centres)).astype(int)
    assert not drawn[off[:, 1], off[:, 0]].any()


def test_away_from_frame_and_strings_both_pictures_are_equal() -> None:
    scene = render(SEED, 960)
    inverse = np.linalg.inv(scene.homography)
    y, x = np.mgrid[0:960, 0:960]
    u, v = project(inverse, np.column_stack([x.ravel(), y.ravel()]).astype(float)).T.reshape(2, 960, 960)
    outside = np.maximum(np.abs(u - 0.5), np.abs(v - 0.5)) - 0.5
    near_frame = (outside > -0.06) & (outside < PIPE_MM / SIDE_MM + 0.06)
    near_string = (np.abs((u * 14 + 0.5) % 1 - 0.5) / 14 < 0.008) | (np.abs((v * 10 + 0.5) % 1 - 0.5) / 10 < 0.008)
    away = ~near_frame & ~((outside < 0) & near_string)
    assert away.mean() > 0.4
    assert np.array_equal(scene.image[away], scene.image_without_grid[away])


@pytest.mark.parametrize("turn", [0.0, 40.0, 90.0, 180.0, 251.0])
def test_the_coloured_mark_stands_at_corner_0_for_any_turn(turn: float) -> None:
    scene = render(SEED, SIZE, turn=turn)
    half_pipe = PIPE_MM / SIDE_MM / 2
    spots = project(scene.homography, TEMPLATE_CORNERS + half_pipe * np.sign(TEMPLATE_CORNERS - 0.5))
    redness = []
    for x, y in np.rint(spots).astype(int):
        r, g, b = scene.image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(axis=0)
        redness.append(r / max(g + b, 1))
    assert int(np.argmax(redness)) == 0
    assert redness[0] > 2 * max(redness[1:])
    assert MARK_COLOUR[0] > 2 * max(MARK_COLOUR[1:])
    first = scene.corners[1] - scene.corners[0]
    assert abs((np.degrees(np.arctan2(first[1], first[0])) - turn + 180) % 360 - 180) < 15


def test_the_frame_is_inside_the_picture_for_any_turn() -> None:
    for seed, turn in zip(HELD_OUT_SEEDS[:12], range(0, 360, 30), strict=True):
        corners = render(seed, 128, turn=float(turn)).corners
        assert corners.min() > 0
        assert corners.max() < 127


def test_without_grid_the_picture_is_bare() -> None:
    scene = render(SEED, 128, grid=False)
    assert np.array_equal(scene.image, scene.image_without_grid)


def test_no_seed_is_used_twice() -> None:
    groups = [set(TRAINING_SEEDS), set(VALIDATION_SEEDS), set(HELD_OUT_SEEDS), set(DEMO_SEEDS)]
    assert len(DEMO_SEEDS) == 8
    assert all(not a & b for a, b in combinations(groups, 2))


def test_sixteen_genera_and_all_of_them_grow() -> None:
    assert len(GENERA) == len(set(GENUS_NAMES)) == 16
    seen = {genus for seed in HELD_OUT_SEEDS[:40] for genus in render(seed, 96).genera}
    assert seen == set(GENUS_NAMES)


def test_a_picture_too_small_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        render(SEED, 63)


def test_a_tenth_of_the_crossings_is_hidden_where_that_is_asked_for() -> None:
    plain, covered = render(SEED, 480), render(SEED, 480, hidden=0.1)
    assert not plain.hidden.any()
    assert 6 <= covered.hidden.sum() <= 20
    assert np.array_equal(plain.image_without_grid, covered.image_without_grid)
    column, row = np.rint(plain.grid_points).astype(int).T
    changed = np.abs(plain.image[row, column].astype(int) - covered.image[row, column]).max(axis=1) > 4
    assert changed[covered.hidden].mean() > 0.8
    assert not changed[~covered.hidden].any()
    again = render(SEED, 480, hidden=0.1)
    assert again.image.tobytes() == covered.image.tobytes()


def test_the_frame_may_stay_where_the_strings_are_taken_away() -> None:
    gridded, framed = render(SEED, 480), render(SEED, 480, keep_frame=True)
    assert np.array_equal(gridded.image, framed.image)
    outside = project(framed.homography, np.array([[0.5, -0.017], [1.017, 0.5], [0.5, 1.017], [-0.017, 0.5]]))
    x, y = np.rint(outside).astype(int).T
    assert np.array_equal(framed.image[y, x], framed.image_without_grid[y, x])
    assert not np.array_equal(gridded.image[y, x], gridded.image_without_grid[y, x])
    column, row = np.rint(framed.grid_points).astype(int).T
    apart = np.abs(framed.image[row, column].astype(int) - framed.image_without_grid[row, column]).max(axis=1)
    assert np.median(apart) > 30
