"""From masks and classes to instances: who is named what, and who gets the pixels that two masks share."""

from __future__ import annotations

import numpy as np
import pytest

from kelp.detections import Predictions
from predictors.common.errors import WeightsError
from predictors.coralscop.found import Found
from predictors.coralscop.instances import instances_of
from predictors.coralscop.labels import labels_for

LABELS = np.array([-1, 0, 1], np.int32)  # class 0 is the background


def masks(*boxes: tuple[int, int, int, int], quality: list[float] | None = None) -> Found:
    """Rectangles x1 y1 x2 y2 in an image of 40 × 60."""
    crops = [(np.ones((y2 - y1, x2 - x1), bool), x1, y1) for x1, y1, x2, y2 in boxes]
    ones = np.ones(len(boxes), np.float32)
    return Found((40, 60), crops, ones if quality is None else np.array(quality, np.float32), ones)


def instances(
    found: Found, classes: np.ndarray, agreement: float = 0.5, overlap: float = 0.5, most: int = 9
) -> Predictions:
    return instances_of(found, classes, LABELS, agreement, overlap, most)


@pytest.fixture
def classes() -> np.ndarray:
    """Class 1 on the left third, class 2 on the middle one, background on the right."""
    given = np.zeros((40, 60), np.uint8)
    given[:, :20], given[:, 20:40] = 1, 2
    return given


def test_the_class_of_most_pixels_is_the_label_and_their_share_the_score(classes: np.ndarray) -> None:
    found = instances(masks((5, 5, 25, 15), (30, 20, 35, 30)), classes)
    assert found.label_id.tolist() == [1, 0]
    np.testing.assert_allclose(found.score, [1.0, 0.75])
    np.testing.assert_array_equal(found.box, [[30, 20, 35, 30], [5, 5, 25, 15]])
    assert found.masks is not None
    assert found.masks.area().tolist() == [50, 200]


@pytest.mark.parametrize(("agreement", "left"), [(0.3, 1), (0.4, 1), (0.41, 0), (0.5, 0)])
def test_masks_on_the_background_go_by_the_threshold(classes: np.ndarray, agreement: float, left: int) -> None:
    assert len(instances(masks((32, 0, 52, 10)), classes, agreement)) == left


def test_a_mask_without_any_named_pixel_goes_whatever_the_threshold(classes: np.ndarray) -> None:
    assert len(instances(masks((45, 0, 55, 10)), classes, agreement=0.0)) == 0


def test_shared_pixels_are_the_better_masks_and_no_pixel_is_anybodys_twice(classes: np.ndarray) -> None:
    found = instances(masks((0, 0, 12, 10), (8, 0, 20, 10), quality=[0.8, 0.9]), classes)
    assert found.masks is not None
    assert sorted(found.masks.area().tolist()) == [80, 120]
    assert found.masks.masks().sum(axis=0).max() == 1
    np.testing.assert_array_equal(sorted(found.box.tolist()), [[0, 0, 8, 10], [8, 0, 20, 10]])


@pytest.mark.parametrize(("overlap", "left"), [(0.0, 1), (0.49, 1), (0.5, 2), (1.0, 2)])
def test_a_mask_that_better_ones_cover_too_much_goes(classes: np.ndarray, overlap: float, left: int) -> None:
    found = instances(masks((0, 0, 10, 10), (5, 0, 15, 10), quality=[0.9, 0.8]), classes, overlap=overlap)
    assert len(found) == left


def test_what_is_left_of_a_mask_must_still_be_of_its_label() -> None:
    classes = np.full((40, 60), 1, np.uint8)
    classes[:, 12:20] = 2
    found = instances(masks((0, 0, 12, 10), (0, 0, 20, 10), quality=[0.9, 0.8]), classes, overlap=0.9)
    assert found.label_id.tolist() == [0]


def test_no_more_than_asked_for_and_the_best_of_them(classes: np.ndarray) -> None:
    found = instances(masks((0, 0, 24, 5), (0, 10, 10, 15), (0, 20, 22, 25)), classes, most=2)
    assert found.box[:, 1].tolist() == [10, 20]


def test_no_masks_are_no_instances(classes: np.ndarray) -> None:
    found = instances(masks(), classes)
    assert len(found) == 0
    assert found.box.shape == (0, 4)


@pytest.mark.parametrize(
    ("given", "classes", "count", "labels", "numbers"),
    [
        ((), ("background", "a", "b"), 3, ("a", "b"), [-1, 0, 1]),
        ((), ("a", "Background", "b"), 3, ("a", "b"), [0, -1, 1]),
        (("b", "a"), ("background", "a", "b"), 3, ("b", "a"), [-1, 1, 0]),
        (("b",), ("background", "a", "b"), 3, ("b",), [-1, -1, 0]),
        (("a", "b"), (), 2, ("a", "b"), [0, 1]),
        (("a", "b"), (), 3, ("a", "b"), [-1, 0, 1]),
    ],
)
def test_labels_are_the_cards_or_the_weights(
    given: tuple[str, ...], classes: tuple[str, ...], count: int, labels: tuple[str, ...], numbers: list[int]
) -> None:
    found, of_class = labels_for(given, classes, count, "best.pth")
    assert found == labels
    assert of_class.tolist() == numbers


@pytest.mark.parametrize(
    ("given", "classes", "count", "complaint"),
    [
        (("a", "c"), ("background", "a", "b"), 3, "labels c are none of the weights' classes: background, a, b"),
        ((), (), 3, "neither the card nor the weights name any labels"),
        (("a",), (), 3, "expected 3 labels in the card, or 2 where class 0 is the background, got 1"),
    ],
)
def test_labels_that_contradict_the_weights_are_told(
    given: tuple[str, ...], classes: tuple[str, ...], count: int, complaint: str
) -> None:
    with pytest.raises(WeightsError, match=complaint):
        labels_for(given, classes, count, "best.pth")
