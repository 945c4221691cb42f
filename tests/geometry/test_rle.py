"""CVAT's run lengths: the very numbers of cvat-sdk, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.geometry import (
    crop_to_cvat_rle,
    cvat_rle_to_crop,
    cvat_to_mask,
    decode_cvat_masks,
    encode_cvat_masks,
    mask_to_cvat,
    spans_of_masks,
)
from tests.geometry.masks import any_mask, mask_stacks
from tests.geometry.test_spans import assert_well_formed


def test_zeros_come_first_and_the_box_is_inclusive() -> None:
    mask = np.zeros((4, 5), np.bool_)
    mask[1, 2:4] = mask[2, 3] = True
    assert mask_to_cvat(mask).tolist() == [0, 2, 1, 1, 2, 1, 3, 2]


def test_a_run_goes_on_over_the_end_of_a_row() -> None:
    mask = np.array([[0, 1], [1, 0]], np.bool_)
    assert mask_to_cvat(mask).tolist() == [1, 2, 1, 0, 0, 1, 1]


def test_an_empty_mask_is_one_unset_pixel() -> None:
    assert mask_to_cvat(np.zeros((3, 3), np.bool_)).tolist() == [1, 0, 0, 0, 0]


@given(mask_stacks())
def test_encode_and_decode_all_at_once(masks: np.ndarray) -> None:
    spans = spans_of_masks(masks)
    offsets, values = encode_cvat_masks(spans)
    assert offsets.dtype == values.dtype == np.int32
    decoded = decode_cvat_masks(offsets, values, masks.shape[1:])
    assert_well_formed(decoded)
    assert np.array_equal(decoded.masks(), masks)
    for mask, start, stop in zip(masks, offsets[:-1], offsets[1:], strict=True):
        assert mask_to_cvat(mask).tolist() == values[start:stop].tolist()


@given(any_mask())
def test_the_numbers_are_those_of_cvat_sdk(mask: np.ndarray) -> None:
    theirs = pytest.importorskip("cvat_sdk.masks", reason="cvat-sdk is not installed")
    ours = mask_to_cvat(mask)
    assert ours.tolist() == theirs.encode_mask(mask)
    height, width = mask.shape
    assert np.array_equal(theirs.decode_mask(ours.tolist(), image_width=width, image_height=height), mask)
    loose = theirs.encode_mask(mask, [0, 0, width, height])
    assert np.array_equal(cvat_to_mask(loose, mask.shape), mask)


@given(any_mask())
def test_crop_and_back(crop: np.ndarray) -> None:
    runs = crop_to_cvat_rle(crop)
    assert runs.dtype == np.int32
    assert np.array_equal(cvat_rle_to_crop(runs, crop.shape), crop)
    assert (runs[1:] > 0).all()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_runs_of_no_length_mean_what_they_say(runs: list[int]) -> None:
    total = sum(runs)
    if total == 0:
        return
    expected = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    decoded = decode_cvat_masks((0, len(runs) + 4), [*runs, 1, 2, total, 2], (4, total + 1))
    assert_well_formed(decoded)
    assert np.array_equal(decoded.crop(0, (1, 2, total + 1, 3))[0], expected)


def test_floats_that_are_whole_numbers_are_read_as_cvat_sends_them() -> None:
    assert cvat_to_mask([0.0, 2.0, 1.0, 0.0, 2.0, 0.0], (1, 3)).tolist() == [[False, True, True]]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([0, 0, 0, 0], "one run length"),
        ([], "one run length"),
        ([1, 1, 0, 0, 1], "empty or out of the image"),  # right of left by less than nothing
        ([4, 1, 0, 4, 0], "empty or out of the image"),
        ([4, -1, 0, 2, 0], "empty or out of the image"),
        ([3, 0, 0, 1, 1], "add up"),
        ([5, 0, 0, 1, 1], "add up"),
        ([5, -1, 0, 0, 1, 1], "negative"),
        ([3.5, 0.5, 0, 0, 1, 1], "integers"),
        ([float("nan"), 4, 0, 0, 1, 1], "integers"),
        ([2**40, 0, 0, 1, 1], "32 bits"),
        (["4", "0", "0", "1", "1"], "integers"),
        ([[4, 0, 0, 1, 1]], "integers"),
    ],
)
def test_a_broken_mask_is_refused(points: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cvat_to_mask(points, (4, 4))


def test_of_several_masks_the_broken_one_is_named() -> None:
    good = [4, 0, 0, 1, 1]
    bad = [3, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="mask 2: "):
        decode_cvat_masks((0, 5, 10, 15), [*good, *good, *bad], (4, 4))
    with pytest.raises(ValueError, match="offsets"):
        decode_cvat_masks((0, 5, 9), [*good, *good], (4, 4))
    with pytest.raises(ValueError, match="negative"):
        cvat_rle_to_crop([-1, 5], (2, 2))
    with pytest.raises(ValueError, match="sum of 4"):
        cvat_rle_to_crop([5], (2, 2))
