"""Polygons: area, pixels inside, crossing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.geometry import Polygons, are_simple, is_simple, polygon_area, polygon_to_mask, spans_of_polygons
from tests.geometry.test_spans import assert_well_formed

WHOLE = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=8)
REAL = st.lists(st.tuples(st.floats(-5, 15, width=32), st.floats(-5, 15, width=32)), min_size=1, max_size=7)


def is_inside(points: np.ndarray, x: float, y: float) -> bool:
    """Even-odd by counting edges left of x, y one after the other."""
    inside = False
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (y1 <= y) != (y2 <= y) and x1 + (y - y1) * (x2 - x1) / (y2 - y1) <= x:
            inside = not inside
    return inside


@given(REAL)
def test_a_pixel_is_set_if_its_centre_lies_inside(points: list[tuple[float, float]]) -> None:
    polygon = np.array(points, np.float64)
    spans = spans_of_polygons(Polygons.of([polygon]), (9, 11))
    assert_well_formed(spans)
    drawn = spans.masks()[0]
    for y, x in np.ndindex(9, 11):
        near_edge = abs(cv2.pointPolygonTest(polygon.astype(np.float32), (x + 0.5, y + 0.5), True)) < 1e-4
        assert near_edge or drawn[y, x] == is_inside(polygon, x + 0.5, y + 0.5)


@given(st.lists(REAL, max_size=4))
def test_polygons_do_not_mix(polygons: list[list[tuple[float, float]]]) -> None:
    together = spans_of_polygons(Polygons.of(polygons), (9, 11)).masks()
    assert len(together) == len(polygons)
    for mask, polygon in zip(together, polygons, strict=True):
        assert np.array_equal(mask, polygon_to_mask(polygon, (9, 11)))


@given(WHOLE)
def test_area_agrees_with_opencv(points: list[tuple[int, int]]) -> None:
    expected = cv2.contourArea(np.array(points, np.float32)) if points else 0.0
    assert polygon_area(np.array(points).reshape(-1, 2)) == pytest.approx(expected, abs=1e-3)


def test_area_says_which_way_round() -> None:
    square = [(0, 0), (2, 0), (2, 3), (0, 3)]
    assert Polygons.of([square, square[::-1], []]).area().tolist() == [6.0, -6.0, 0.0]


def test_points_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        polygon_to_mask([(0, 0), (1, np.nan), (2, 2)], (4, 4))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0, 0), (4, 0), (4, 4), (0, 4)], True),
        ([(0, 0), (2, 0), (4, 0), (4, 4)], True),  # a point on a straight edge
        ([(0, 0), (4, 4), (4, 0), (0, 4)], False),  # a bow tie
        ([(0, 0), (4, 0), (2, 0), (2, 4)], False),  # runs back along an edge
        ([(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)], False),  # a corner on another edge
        ([(0, 0), (2, 2), (4, 0), (4, 4), (2, 2), (0, 4)], False),  # two corners in one place
        ([(0, 0), (4, 0), (4, 0), (4, 4)], False),  # the same point twice running
        ([(0, 0), (2, 2), (4, 4)], False),  # no inside
        ([(0, 0), (4, 4)], False),
        ([], False),
        ([(0, 0), (10, 0), (10, 10), (0, 10), (0, 2), (8, 2), (8, 8), (2, 8), (2, 4), (0, 4)], False),
        ([(0, 0), (9, 0), (9, 9), (1, 9), (1, 3), (6, 3), (6, 6), (3, 6), (3, 5), (5, 5), (5, 4), (2, 4), (2, 8),
          (8, 8), (8, 1), (0, 1)], True),  # a spiral
    ],
)  # fmt: skip
def test_known_polygons(points: list[tuple[int, int]], expected: bool) -> None:
    for _ in range(max(len(points), 1)):
        assert is_simple(points) is expected
        assert is_simple(points[::-1]) is expected
        points = points[1:] + points[:1]


def meets_itself(points: np.ndarray) -> bool:
    """Every edge against every other, in whole numbers."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> int:
        return int(np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])))

    def on(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> bool:
        return side(a, b, c) == 0 and bool((np.minimum(a, b) <= c).all() and (c <= np.maximum(a, b)).all())

    count = len(points)
    edges = [(points[i], points[(i + 1) % count]) for i in range(count)]
    for i, (a, b) in enumerate(edges):
        if (a == b).all():
            return True
        for j in range(i + 1, count):
            c, d = edges[j]
            if j == i + 1 or (i == 0 and j == count - 1):
                far, near = (d, a) if j == i + 1 else (c, b)
                if on(a, b, far) or on(c, d, near):
                    return True
                continue
            if side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b):
                return True
            if on(a, b, c) or on(a, b, d) or on(c, d, a) or on(c, d, b):
                return True
    return False


@settings(max_examples=500)
@given(st.lists(WHOLE, min_size=1, max_size=3))
def test_simple_agrees_with_comparing_all_edges(polygons: list[list[tuple[int, int]]]) -> None:
    expected = [len(points) >= 3 and not meets_itself(np.array(points)) for points in polygons]
    assert are_simple(Polygons.of(polygons)).tolist() == expected
