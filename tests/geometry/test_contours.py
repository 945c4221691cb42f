"""Outer contours along pixel edges: rasterised they give the part back, and they never meet themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from kelp.geometry import (
    are_simple,
    mask_to_polygon,
    outer_contours,
    outer_polygons,
    polygon_area,
    polygon_to_mask,
    spans_of_masks,
    spans_of_polygons,
)
from tests.geometry.masks import any_mask, comb, filled_parts, mask_stacks, spiral


def picture(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


@settings(max_examples=300)
@given(mask_stacks())
def test_the_contour_gives_the_largest_part_back(masks: np.ndarray) -> None:
    contours = outer_contours(spans_of_masks(masks))
    drawn = spans_of_polygons(contours, masks.shape[1:]).masks()
    for row, mask in enumerate(masks):
        parts = filled_parts(mask)
        if not parts:
            assert len(contours[row]) == 0
            continue
        largest = max(int(part.sum()) for part in parts)
        assert any(np.array_equal(drawn[row], part) for part in parts if part.sum() == largest)


@settings(max_examples=300)
@given(mask_stacks())
def test_the_contour_is_simple_and_clockwise_and_has_no_point_too_many(masks: np.ndarray) -> None:
    spans = spans_of_masks(masks)
    contours = outer_contours(spans)
    filled = spans.area() > 0
    assert np.array_equal(are_simple(contours), filled)
    assert (contours.area()[filled] > 0).all()
    for row in np.flatnonzero(filled):
        steps = np.diff(contours[row], axis=0, append=contours[row][:1])
        along_x, along_y = steps[:, 0] != 0, steps[:, 1] != 0
        assert (along_x != along_y).all()
        assert (along_x != np.roll(along_x, 1)).all()


@pytest.mark.parametrize(
    ("mask", "area", "points"),
    [
        (picture("#"), 1, 4),
        (picture("....", ".##.", "...."), 2, 4),
        (picture("###", "#.#", "###"), 9, 4),  # a hole is cut
        (picture("#.", ".#"), 1, 4),  # a shared corner joins nothing
        (picture("##.", "##.", "..#"), 4, 4),  # and a speck is dropped
        (picture(".##", "#.#", "###"), 8, 6),  # the hole opens at a corner only: the corner is closed
        (picture("###", "#..", "###"), 7, 8),  # a bay stays open
        (picture("#####", "#...#", "#.#.#", "#...#", "#####"), 25, 4),  # a part inside a hole of a larger one
    ],
)
def test_known_contours(mask: np.ndarray, area: int, points: int) -> None:
    contour = outer_contours(spans_of_masks(mask[None]))[0]
    assert polygon_area(contour) == area
    assert len(contour) == points


@given(any_mask())
def test_a_single_mask_as_float_polygon(mask: np.ndarray) -> None:
    polygon = mask_to_polygon(mask, (3, 5), simplify_px=0)
    assert polygon.dtype == np.float32
    if mask.any():
        height, width = mask.shape
        drawn = polygon_to_mask(polygon, (height + 5, width + 3))
        assert not drawn[:5].any()
        assert not drawn[:, :3].any()
        assert drawn[5:, 3:].sum() == max(part.sum() for part in filled_parts(mask))


@pytest.mark.parametrize(
    "mask", [comb(30, 12), spiral(6), np.indices((40, 40)).sum(0) % 2 == 0], ids=["comb", "spiral", "board"]
)
def test_hard_shapes(mask: np.ndarray) -> None:
    contour = outer_contours(spans_of_masks(mask[None]))
    assert are_simple(contour).all()
    drawn = spans_of_polygons(contour, mask.shape).masks()[0]
    parts = filled_parts(mask)
    assert any(np.array_equal(drawn, part) for part in parts)


def test_no_instances_and_empty_instances() -> None:
    assert len(outer_polygons(spans_of_masks(np.zeros((0, 4, 4), np.bool_)))) == 0
    nothing = outer_polygons(spans_of_masks(np.zeros((3, 4, 4), np.bool_)))
    assert len(nothing) == 3
    assert nothing.points.shape == (0, 2)
