"""Half-open and inclusive boxes, the pixels of a float box, overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.geometry import box_area, box_iou, clip_boxes, from_inclusive, pixel_boxes, to_inclusive

COORDINATES = st.integers(-(2**20), 2**20)


def test_one_pixel_is_its_own_left_top_right_bottom() -> None:
    assert to_inclusive((7, 3, 8, 4)).tolist() == [7, 3, 7, 3]
    assert from_inclusive((7, 3, 7, 3)).tolist() == [7, 3, 8, 4]


@given(st.lists(st.tuples(*[COORDINATES] * 4), max_size=4))
def test_inclusive_and_back(boxes: list[tuple[int, ...]]) -> None:
    given_boxes = np.array(boxes, np.int32).reshape(-1, 4)
    assert (from_inclusive(to_inclusive(given_boxes)) == given_boxes).all()
    assert (to_inclusive(from_inclusive(given_boxes)) == given_boxes).all()


@given(st.tuples(*[st.floats(-3, 15)] * 4))
def test_pixels_of_a_float_box_are_those_whose_corner_lies_in_it(box: tuple[float, ...]) -> None:
    rows, columns = np.mgrid[:10, :12]
    x1, y1, x2, y2 = box
    expected = (columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2)
    left, top, right, bottom = pixel_boxes(box, (10, 12)).tolist()
    found = np.zeros((10, 12), np.bool_)
    found[top:bottom, left:right] = True
    assert (found == expected).all()
    assert 0 <= left <= right <= 12
    assert 0 <= top <= bottom <= 10


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_box_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        pixel_boxes((0, 0, bad, 1), (10, 12))


@pytest.mark.parametrize(
    ("first", "second", "iou"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0.0),  # half-open: they touch and share nothing
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),  # empty
        ((3, 3, 1, 1), (0, 0, 4, 4), 0.0),  # inverted
    ],
)
def test_box_iou(first: tuple[int, ...], second: tuple[int, ...], iou: float) -> None:
    assert box_iou([first], [second]) == pytest.approx(np.array([[iou]]))


def test_box_iou_compares_all_with_all() -> None:
    assert box_iou(np.zeros((0, 4)), np.ones((3, 4))).shape == (0, 3)
    assert box_iou([(0, 0, 2, 2), (0, 0, 1, 1)], [(0, 0, 1, 1)]).tolist() == [[0.25], [1.0]]
    assert box_area([(0, 0, 2, 3), (5, 5, 4, 9)]).tolist() == [6.0, 0.0]


def test_clipped_boxes_keep_their_dtype() -> None:
    clipped = clip_boxes(np.array([[-1.5, 2, 99, 99]], np.float32), (10, 12))
    assert clipped.dtype == np.float32
    assert clipped.tolist() == [[0, 2, 12, 10]]
