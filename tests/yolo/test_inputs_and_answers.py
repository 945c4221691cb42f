"""Into the network's input and out of its answer again: pixels as ultralytics', answers inside the image."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from ultralytics.data.augment import LetterBox

from kelp.geometry import pixel_boxes
from predictors.yolo.answers import predictions_of
from predictors.yolo.candidates import Found
from predictors.yolo.facts import Facts
from predictors.yolo.inputs import batches_of, letterbox_for
from tests.yolo.models import EVERYTHING


def facts(side: int, *, any_size: bool) -> Facts:
    return Facts("segment", ("coral",), (side, side), 32, any_size, None, None, False)


SIZES = st.tuples(st.integers(1, 400), st.integers(1, 400))


@given(size=SIZES, side=st.sampled_from([96, 160, 224]), any_size=st.booleans(), seed=st.integers(0, 1000))
def test_the_input_is_ultralytics_own(size: tuple[int, int], side: int, any_size: bool, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    (batch,) = batches_of([image], facts(side, any_size=any_size))
    bgr = np.ascontiguousarray(image[..., ::-1])
    padded = LetterBox((side, side), auto=any_size, stride=32)(image=bgr)
    # As ultralytics' predictor makes a batch of it.
    theirs = torch.from_numpy(padded).unsqueeze(0).permute(0, 3, 1, 2).contiguous().flip(1).float().div_(255)
    np.testing.assert_array_equal(batch.images, theirs.numpy())


def test_images_alike_in_shape_go_together() -> None:
    images = [np.zeros((h, w, 3), np.uint8) for h, w in ((100, 100), (100, 50), (200, 200), (50, 100), (300, 151))]
    assert [batch.items for batch in batches_of(images, facts(96, any_size=True))] == [[0, 2], [1, 4], [3]]
    assert [batch.items for batch in batches_of(images, facts(96, any_size=False))] == [[0, 1, 2, 3, 4]]


@st.composite
def founds(draw: st.DrawFn) -> tuple[Found, tuple[int, int], int]:
    """What a network may say, beside the image and beyond it too."""
    seed, count = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 12))
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-60, 220, (count, 2, 2))
    box = np.concatenate((corners.min(1), corners.max(1)), 1).astype(np.float32)
    extra = rng.normal(0, 1, (count, 12)).astype(np.float32)
    found = Found(box, rng.random(count, np.float32), np.zeros(count, np.int32), extra)
    return found, draw(SIZES), seed


@given(founds(), st.booleans())
def test_answers_lie_in_the_image_and_masks_in_their_boxes(
    given_found: tuple[Found, tuple[int, int], int], any_size: bool
) -> None:
    found, size, seed = given_found
    letterbox = letterbox_for(size, facts(160, any_size=any_size))
    height, width = letterbox.model_hw
    protos = np.random.default_rng(seed).normal(0, 1, (12, height // 4, width // 4)).astype(np.float32)
    segments = predictions_of(found, letterbox, EVERYTHING, protos)
    assert segments.masks is not None
    assert (segments.masks.area() > 0).all()
    limits = pixel_boxes(segments.box, size)
    bounds = segments.masks.bounds()
    assert (bounds[:, :2] >= limits[:, :2]).all()
    assert (bounds[:, 2:] <= limits[:, 2:]).all()
    poses = predictions_of(found, letterbox, EVERYTHING, None, (4, 3))
    assert poses.keypoints is not None
    for answer in (segments, poses):
        assert (answer.box >= 0).all()
        assert (answer.box[:, 2:] <= (size[1], size[0])).all()
        assert (answer.box[:, 2:] > answer.box[:, :2]).all()
    assert (poses.keypoints >= 0).all()
    assert (poses.keypoints[..., :2] <= (size[1], size[0])).all()
    assert (poses.keypoints[..., 2] <= 1).all()


def test_only_what_is_asked_for_is_computed() -> None:
    letterbox = letterbox_for((100, 100), facts(160, any_size=False))
    found = Found(
        np.array([[10, 10, 90, 90]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        np.ones((1, 6), np.float32),
    )
    protos = np.ones((6, 40, 40), np.float32)
    for outputs, masks, keypoints in (
        ({"box", "score"}, False, False),
        ({"mask_rle"}, True, False),
        ({"polygon_points", "box"}, True, False),
        ({"keypoints"}, False, True),
        ({"annotations"}, True, True),
    ):
        answer = predictions_of(found, letterbox, frozenset(outputs), protos, (2, 3))
        assert (answer.masks is not None) == masks, outputs
        assert (answer.keypoints is not None) == keypoints, outputs


def test_points_without_visibility_are_seen() -> None:
    letterbox = letterbox_for((160, 160), facts(160, any_size=False))
    points = np.array([[10, 20, 30, 40]], np.float32)
    found = Found(np.array([[0, 0, 90, 90]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), points)
    keypoints = predictions_of(found, letterbox, EVERYTHING, None, (2, 2)).keypoints
    assert keypoints is not None
    np.testing.assert_array_equal(keypoints, [[[10, 20, 1], [30, 40, 1]]])
