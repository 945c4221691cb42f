"""From images of any size to batches of the network's input: the one preprocessing of both engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from kelp.geometry import Letterbox
from predictors.yolo.engine import Floats
from predictors.yolo.facts import Facts


class Batch(NamedTuple):
    """Images that go through the network together: float32 [n, 3, height, width], and the item each belongs to."""

    items: list[int]
    images: Floats


def letterbox_for(size_hw: tuple[int, int], facts: Facts) -> Letterbox:
    """How an image of (height, width) lies in the input: with least padding where the network takes any size.

    Each image has its own, whatever it is batched with: its answer never depends on its neighbours.
    """
    if facts.any_size:
        return Letterbox.smallest(size_hw, facts.input_hw, facts.stride)
    return Letterbox(size_hw, facts.input_hw)


def batches_of(images: Sequence[NDArray[np.uint8]], facts: Facts) -> list[Batch]:
    """Batches of images uint8 [H, W, 3] RGB, one batch for each size of input among them."""
    letterboxes = [letterbox_for((image.shape[0], image.shape[1]), facts) for image in images]
    alike: dict[tuple[int, int], list[int]] = {}
    for number, letterbox in enumerate(letterboxes):
        alike.setdefault(letterbox.model_hw, []).append(number)
    batches = []
    for (height, width), members in alike.items():
        stacked = np.empty((len(members), 3, height, width), np.float32)
        for place, number in enumerate(members):
            _fill(stacked[place], letterboxes[number].apply(images[number]))
        batches.append(Batch(members, stacked))
    return batches


def _fill(target: Floats, padded: NDArray[np.uint8]) -> None:
    # Taken apart by OpenCV first: twice as fast as dividing through a transposed view, and exact, unlike a factor.
    for plane, channel in zip(target, cv2.split(padded), strict=True):
        np.divide(channel, np.float32(255), out=plane)
