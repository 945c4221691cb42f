"""Suppression keeps exactly what torchvision's `nms` keeps, called as ultralytics calls it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from ultralytics.utils.nms import non_max_suppression

from predictors.yolo.candidates import pick
from predictors.yolo.suppress import suppress


def crowd(seed: int, count: int, labels: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    """Boxes in heaps of about eight, some of them equal, some without an area; scores with ties."""
    rng = np.random.default_rng(seed)
    heap = rng.integers(0, max(count // 8, 1), count)
    centre = rng.uniform(0, 640, (count, 2))[heap] + rng.normal(0, 4, (count, 2))
    half = rng.uniform(0, 60, (count, 2))[heap] * rng.uniform(0.8, 1.2, (count, 2))
    half[rng.random(count) < 0.05] = 0
    boxes = np.concatenate((centre - half, centre + half), 1).astype(np.float32)
    boxes[rng.random(count) < 0.1] = boxes[0]
    scores = rng.integers(1, 400, count).astype(np.float32) / 400
    return boxes, scores, rng.integers(0, labels, count).astype(np.int32)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 900),
    labels=st.integers(1, 20),
    iou=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
    most=st.integers(1, 400),
)
def test_it_keeps_what_torchvision_keeps(seed: int, count: int, labels: int, iou: float, most: int) -> None:
    boxes, scores, label_id = crowd(seed, count, labels)
    moved = torch.from_numpy(boxes + (label_id.astype(np.float32) * np.float32(7680))[:, None])
    theirs = torchvision.ops.nms(moved, torch.from_numpy(scores), iou)[:most].numpy()
    np.testing.assert_array_equal(suppress(boxes, scores, label_id, iou, most), theirs)


@pytest.mark.parametrize("conf", [0.0, 0.25, 0.999])
@pytest.mark.parametrize(("labels", "extra"), [(1, 0), (16, 32), (3, 12)])
def test_a_raw_answer_is_read_as_ultralytics_reads_it(conf: float, labels: int, extra: int) -> None:
    rng = np.random.default_rng(5)
    boxes, scores, label_id = crowd(7, 3000, labels)
    raw = rng.random((1, 4 + labels + extra, 3000), np.float32)
    raw[0, 4 : 4 + labels] *= 0.01
    raw[0, 4 + label_id, np.arange(3000)] = scores
    raw[0, :2] = ((boxes[:, :2] + boxes[:, 2:]) / 2).T
    raw[0, 2:4] = (boxes[:, 2:] - boxes[:, :2]).T
    theirs = non_max_suppression(torch.from_numpy(raw), conf, 0.5, nc=labels, max_det=200)[0].numpy()
    ours = pick(raw[0], labels, conf, 0.5, 200)
    assert len(ours.box) == len(theirs)
    # Ties of the score leave the order open; what is kept is not.
    for a, b in ((ours.score, theirs[:, 4]), (ours.label_id, theirs[:, 5])):
        np.testing.assert_array_equal(np.sort(a), np.sort(b))
    order, their_order = np.lexsort(ours.box.T), np.lexsort(theirs[:, :4].T)
    np.testing.assert_allclose(ours.box[order], theirs[their_order, :4], atol=1e-4)
    np.testing.assert_array_equal(ours.extra[order], theirs[their_order, 6:])


def test_more_candidates_than_are_looked_at_are_the_best() -> None:
    count = 40_000
    raw = np.zeros((5, count), np.float32)
    raw[0] = np.arange(count) * 10
    raw[2:4] = 4
    raw[4] = np.linspace(0.1, 0.9, count, dtype=np.float32)
    found = pick(raw, 1, 0.05, 0.5, 10_000)
    assert len(found.score) == 10_000
    np.testing.assert_array_equal(found.score, np.sort(raw[4])[::-1][:10_000])


def test_nothing_found() -> None:
    found = pick(np.zeros((4 + 3 + 2, 50), np.float32), 3, 0.25, 0.5, 300)
    assert [len(column) for column in found] == [0, 0, 0, 0]
    assert found.extra.shape == (0, 2)
