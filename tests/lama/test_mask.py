"""The lines of a grid, as pixels to be removed."""

from __future__ import annotations

import numpy as np
import pytest

from kelp.errors import InvalidImage
from predictors.lama.mask import grid_mask


def grid(rows: int, columns: int, spacing: float, at: tuple[float, float]) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:columns] * spacing
    return np.stack([x.ravel() + at[0], y.ravel() + at[1]], axis=1).astype(np.float32)


def test_straight_lines_run_to_the_border_and_are_as_wide_as_asked():
    mask = grid_mask(grid(2, 3, 40, (30, 20)), (2, 3), 6, (100, 140))
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1}
    across, down = mask[0], mask[:, 0]  # at the border, far from any point
    assert np.flatnonzero(across).mean() == pytest.approx(70, abs=0.6)
    assert 18 <= across.sum() <= 21  # three upright lines of 6 or, with both edge pixels, 7
    assert 12 <= down.sum() <= 14
    between = mask[40, 50]
    assert between == 0


def test_a_turned_grid_is_followed():
    turn = np.deg2rad(20)
    points = grid(9, 13, 30, (-180, -120)) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (points + 300).astype(np.float32)
    mask = grid_mask(points, (9, 13), 8, (600, 600))
    columns, rows = np.rint(points).astype(int).T
    assert mask[rows, columns].all()
    halfway = np.rint((points[:-1:13] + points[1::13]) / 2).astype(int)
    assert mask[halfway[:, 1], halfway[:, 0]].all()
    # 22 lines of 8 or 9 pixels over about 620 each, less their crossings.
    assert 0.26 < mask.mean() < 0.34


def test_points_outside_the_picture_still_give_their_lines():
    mask = grid_mask(grid(2, 2, 400, (-100, 50)), (2, 2), 4, (200, 250))
    assert mask[50].all()
    assert not mask[:, 0].all()


@pytest.mark.parametrize(
    ("points", "complaint"),
    [(np.zeros((4, 2)), "lie in one place"), (np.array([[0, 0], [1e9, 0], [0, 1], [1, 1]]), "pixels of the image")],
)
def test_points_that_span_no_grid_are_refused(points, complaint):
    with pytest.raises(InvalidImage, match=complaint):
        grid_mask(points.astype(np.float32), (2, 2), 8, (100, 100))
