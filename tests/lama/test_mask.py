"""The lines of a grid, as pixels to be removed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def seen(points: np.ndarray, turn: float, lean: tuple[float, float], bend: float) -> np.ndarray:
    """Points as a camera sees them: turned (degrees), in perspective, through a lens that bends."""
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    turned = (points / 600 - 0.5) @ np.array([[cos, sin], [-sin, cos]])
    leaning = turned / (1 + turned @ np.array(lean))[:, None]
    bent = leaning * (1 + bend * (leaning**2).sum(axis=1, keepdims=True))
    return (bent * 600 + 300).astype(np.float32)


@given(
    turn=st.floats(-180, 180), lean=st.tuples(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8)), bend=st.floats(-0.2, 0.2),
    mirrored=st.booleans(), seed=st.integers(0, 999),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_view_of_a_grid_is_one(turn, lean, bend, mirrored, seed):
    rng = np.random.default_rng(seed)
    crooked = grid(9, 13, 1, (0, 0)).reshape(9, 13, 2) * (40, 60) + 60
    crooked += rng.uniform(-12, 12, (1, 13, 1)) * (1, 0) + rng.uniform(-15, 15, (9, 1, 1)) * (0, 1)  # uneven strings
    crooked += rng.normal(0, 2, crooked.shape)
    points = seen((crooked[:, ::-1] if mirrored else crooked).reshape(-1, 2), turn, lean, bend)
    assert grid_mask(points, (9, 13), 4, (600, 600)).any()


@pytest.mark.parametrize("order", ["shuffled", "column by column", "to and fro", "two of them changed"])
def test_points_in_another_order_are_refused(order):
    right = seen(grid(9, 13, 40, (60, 60)), 20, (0.3, -0.2), 0.05)
    number = np.arange(117)
    if order == "shuffled":
        wrong = np.random.default_rng(3).permutation(number)
    elif order == "column by column":
        wrong = number.reshape(9, 13).T.ravel()
    elif order == "to and fro":
        wrong = np.concatenate([row[:: 1 - 2 * (place % 2)] for place, row in enumerate(number.reshape(9, 13))])
    else:
        wrong = number.copy()
        wrong[[30, 31]] = wrong[[31, 30]]
    with pytest.raises(InvalidImage, match=r"crossings of a 9 x 13 grid, row by row; \d+ of its 96 meshes are folded"):
        grid_mask(right[wrong], (9, 13), 8, (600, 600))


@pytest.mark.parametrize("away", [(5000, 0), (0, -4000), (700, 700)])
def test_a_grid_beside_the_picture_is_refused(away):
    points = grid(9, 13, 40, (60, 60)) + np.array(away, np.float32)
    with pytest.raises(
        InvalidImage, match=r"lies beside the picture of 640x480 pixels, x from \d+ to \d+, y from -?\d+"
    ):
        grid_mask(points, (9, 13), 8, (480, 640))


@pytest.mark.parametrize(
    ("points", "complaint"),
    [
        (np.zeros((4, 2)), "lie in one place"),
        (np.array([[0, 0], [10, 10], [20, 20], [30, 30]]), "or on one line"),
        (np.array([[0, 0], [0, 0], [0, 40], [40, 40]]), "no line leads through them"),
        (np.array([[0, 0], [1e9, 0], [0, 1], [1, 1]]), "pixels of the image"),
    ],
)
def test_points_that_span_no_grid_are_refused(points, complaint):
    with pytest.raises(InvalidImage, match=complaint):
        grid_mask(points.astype(np.float32), (2, 2), 8, (100, 100))
