"""Masks to spans and back: full-size masks, crops, areas, bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.geometry import MaskSpans, mask_bounds, spans_of_crops, spans_of_masks
from tests.geometry.masks import any_mask, mask_stacks


def assert_well_formed(spans: MaskSpans) -> None:
    """What every function of the package may rely on."""
    height, width = spans.size_hw
    assert spans.offsets[0] == 0
    assert spans.offsets[-1] == len(spans.y) == len(spans.x1) == len(spans.x2)
    assert (spans.x2 > spans.x1).all()
    assert (spans.x1 >= 0).all()
    assert (spans.x2 <= width).all()
    assert ((spans.y >= 0) & (spans.y < height)).all()
    line = spans.instance * height + spans.y
    later = (line[1:] > line[:-1]) | ((line[1:] == line[:-1]) & (spans.x1[1:] > spans.x2[:-1]))
    assert later.all()


@given(mask_stacks())
def test_masks_and_back(masks: np.ndarray) -> None:
    spans = spans_of_masks(masks)
    assert_well_formed(spans)
    assert np.array_equal(spans.masks(), masks)
    assert spans.area().tolist() == [int(mask.sum()) for mask in masks]
    assert spans.bounds().tolist() == [list(mask_bounds(mask)) for mask in masks]


@given(mask_stacks())
def test_crops_and_back(masks: np.ndarray) -> None:
    spans = spans_of_masks(masks)
    again = spans_of_crops(spans.crops(), masks.shape[1:])
    assert_well_formed(again)
    assert np.array_equal(again.masks(), masks)


@given(any_mask(), st.tuples(*[st.integers(-3, 50)] * 4))
def test_only_what_lies_in_a_given_box_is_kept(mask: np.ndarray, box: tuple[int, ...]) -> None:
    x1, y1, x2, y2 = (max(side, 0) for side in box)
    expected = np.zeros_like(mask)
    expected[y1:y2, x1:x2] = mask[y1:y2, x1:x2]
    spans = spans_of_masks(mask[None], [box])
    assert np.array_equal(spans.masks()[0], expected)


@given(any_mask(), st.tuples(*[st.integers(0, 60)] * 4))
def test_a_crop_may_reach_out_of_the_mask(mask: np.ndarray, box: tuple[int, ...]) -> None:
    x1, y1, x2, y2 = box
    around = np.zeros((60, 60), np.bool_)
    around[: mask.shape[0], : mask.shape[1]] = mask
    found = spans_of_masks(mask[None]).crop(0, box)
    assert found.shape == (max(y2 - y1, 0), max(x2 - x1, 0))
    assert found.tolist() == around[y1 : max(y1, y2), x1 : max(x1, x2)].tolist()


@given(any_mask())
def test_bounds_are_the_smallest_box(mask: np.ndarray) -> None:
    x1, y1, x2, y2 = mask_bounds(mask)
    if not mask.any():
        assert (x1, y1, x2, y2) == (0, 0, 0, 0)
        return
    assert mask[y1:y2, x1:x2].sum() == mask.sum()
    for side in (mask[y1], mask[y2 - 1], mask[:, x1], mask[:, x2 - 1]):
        assert side.any()


@pytest.mark.parametrize("width", [7, 8, 16, 17])  # read eight pixels at a time, or not
def test_bounds_of_wide_and_strided_masks(width: int) -> None:
    mask = np.zeros((5, width), np.uint8)
    mask[2, 3] = 255
    mask[3, 6] = 1
    assert mask_bounds(mask) == (3, 2, 7, 4)
    assert mask_bounds(mask[:, ::-1]) == (width - 7, 2, width - 3, 4)


def test_any_number_but_zero_is_set() -> None:
    pixels = np.array([[0, 255, 1], [7, 0, 0]], np.uint8)
    spans = spans_of_crops([(pixels, 4, 5)], (10, 10))
    assert spans.area().tolist() == [3]
    assert spans.bounds().tolist() == [[4, 5, 7, 7]]


@given(mask_stacks(), st.randoms(use_true_random=False))
def test_take_reorders_repeats_and_leaves_out(masks: np.ndarray, random: object) -> None:
    spans = spans_of_masks(masks)
    if not len(masks):
        assert len(spans.take(np.zeros(0, np.bool_))) == 0
        return
    order = [random.randrange(len(masks)) for _ in range(5)]  # type: ignore[attr-defined]
    assert np.array_equal(spans.take(order).masks(), masks[order])
    filled = spans.area() > 0
    assert np.array_equal(spans.take(filled).masks(), masks[filled])


@pytest.mark.parametrize(
    ("pixels", "x", "y", "message"),
    [
        (np.zeros((2, 2), np.float32), 0, 0, "expected bool or uint8"),
        (np.zeros(4, np.bool_), 0, 0, "expected bool or uint8"),
        ([[True]], 0, 0, "expected bool or uint8"),
        (np.zeros((2, 2), np.bool_), 3, 0, "out of the image"),
        (np.zeros((2, 2), np.bool_), 0, -1, "out of the image"),
    ],
)
def test_what_is_no_crop_of_the_image_is_refused_by_number(pixels: object, x: int, y: int, message: str) -> None:
    good = (np.ones((1, 1), np.bool_), 0, 0)
    with pytest.raises(ValueError, match=f"crop 1: .*{message}"):
        spans_of_crops([good, (pixels, x, y)], (4, 4))  # type: ignore[list-item]


def test_masks_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="expected \\[D, H, W\\]"):
        spans_of_masks(np.zeros((4, 4), np.bool_))
    with pytest.raises(ValueError, match="expected \\[2, 4\\]"):
        spans_of_masks(np.zeros((2, 4, 4), np.bool_), [(0, 0, 1, 1)])
