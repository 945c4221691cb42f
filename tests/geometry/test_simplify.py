"""Simplified polygons stay near, never cross, and never vanish."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.geometry import (
    are_simple,
    mask_iou,
    outer_contours,
    outer_polygons,
    simplify,
    spans_of_masks,
    spans_of_polygons,
)
from tests.geometry.masks import comb, mask_stacks, smooth, spiral

TOLERANCES = st.sampled_from((0.25, 0.5, 1.0, 1.5, 2.0, 5.0, 50.0))


def furthest(points: np.ndarray, polygon: np.ndarray) -> float:
    """The largest distance of a point from a polygon's edge."""
    start, end = polygon.astype(float), np.roll(polygon, -1, axis=0).astype(float)
    along = end - start
    offset = points[:, None].astype(float) - start
    share = np.clip((offset * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12), 0, 1)
    return float(np.linalg.norm(offset - share[..., None] * along, axis=-1).min(1).max())


@settings(max_examples=300)
@given(mask_stacks(), TOLERANCES)
def test_never_crosses_never_vanishes_never_strays(masks: np.ndarray, tolerance: float) -> None:
    spans = spans_of_masks(masks)
    exact = outer_contours(spans)
    found = simplify(exact, tolerance)
    assert np.array_equal(are_simple(found), spans.area() > 0)
    for row in np.flatnonzero(spans.area()):
        assert len(found[row]) <= len(exact[row])
        # OpenCV drops corners that lie within tolerance / √2 of a line in a second pass.
        assert furthest(exact[row], found[row]) <= (1 + 0.5**0.5) * tolerance + 1e-5


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 1.5, 3.0, 10.0])
@pytest.mark.parametrize(
    "mask",
    [comb(40, 20), comb(40, 20).T, spiral(8), smooth(3, (150, 150), 1.0) > 0, smooth(4, (200, 200), 2.0) > 0.3],
    ids=["comb", "lying comb", "spiral", "noise", "sponge"],
)
def test_shapes_that_plain_simplification_folds(mask: np.ndarray, tolerance: float) -> None:
    found = simplify(outer_contours(spans_of_masks(mask[None])), tolerance)
    assert are_simple(found).all()
    assert found.area()[0] >= 1


def test_a_thin_diagonal_keeps_its_shape_instead_of_becoming_a_line() -> None:
    mask = np.eye(30, dtype=np.bool_) | np.eye(30, k=1, dtype=np.bool_)
    polygon = outer_polygons(spans_of_masks(mask[None]), 5.0)
    assert are_simple(polygon).all()
    assert polygon.area()[0] < 3 * mask.sum()


def test_smooth_outlines_lose_most_points_and_little_area() -> None:
    spans = spans_of_masks(smooth(1, (400, 400), 25)[None] > 0.8)
    exact, found = outer_contours(spans), simplify(outer_contours(spans), 1.0)
    assert len(found.points) * 5 < len(exact.points)
    assert mask_iou(spans_of_polygons(found, (400, 400)), spans_of_polygons(exact, (400, 400)))[0] > 0.98


def test_zero_changes_nothing_and_less_is_refused() -> None:
    contours = outer_contours(spans_of_masks(smooth(1, (50, 50), 4)[None] > 0))
    assert np.array_equal(simplify(contours, 0).points, contours.points)
    for bad in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="simplify_px"):
            simplify(contours, bad)
