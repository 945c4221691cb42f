"""Overlap of masks, counted on spans, against counting pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from kelp.geometry import intersections, mask_iou, mask_iou_matrix, spans_of_masks
from tests.geometry.masks import mask_stacks


def iou(first: np.ndarray, second: np.ndarray) -> float:
    either = int((first | second).sum())
    return int((first & second).sum()) / either if either else 0.0


@given(mask_stacks())
def test_every_pair(masks: np.ndarray) -> None:
    spans = spans_of_masks(masks)
    others = masks[::-1] ^ (np.indices(masks.shape).sum(0) % 3 == 0)
    other_spans = spans_of_masks(others)
    expected = np.array([[iou(one, other) for other in others] for one in masks]).reshape(len(masks), len(masks))
    assert mask_iou_matrix(spans, other_spans) == pytest.approx(expected)
    assert mask_iou(spans, other_spans) == pytest.approx(np.diag(expected))
    assert intersections(spans, spans).tolist() == spans.area().tolist()


def test_masks_of_different_images_are_refused() -> None:
    one = spans_of_masks(np.ones((1, 4, 4), np.bool_))
    with pytest.raises(ValueError, match="expected 1 of"):
        intersections(one, spans_of_masks(np.ones((1, 4, 5), np.bool_)))
    with pytest.raises(ValueError, match="expected 1 of"):
        intersections(one, spans_of_masks(np.ones((2, 4, 4), np.bool_)))
