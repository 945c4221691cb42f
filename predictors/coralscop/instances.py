"""From masks and a map of classes to instances: the class of each by majority, and no pixel twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kelp.detections import Predictions
from kelp.geometry import mask_bounds, spans_of_crops
from predictors.coralscop.found import Crop, Found


class _Instance(NamedTuple):
    """A mask with its label, and the share of its pixels that have that label."""

    crop: Crop
    label: int
    agreement: float
    rank: float


def instances_of(
    found: Found,
    classes: NDArray[np.uint8],
    labels: NDArray[np.int32],
    agreement: float,
    overlap: float,
    most: int,
) -> Predictions:
    """The instances of one image; an instance's score is its agreement.

    classes: of each pixel [H, W]; labels: label id of each class [C], -1 for none; agreement: share of a mask's pixels
    that its most frequent label needs; overlap: share of a mask that better ones may cover before it goes, the pixels
    they share are the better one's; most: at most so many, by their score.
    """
    named = [
        _Instance(crop, *vote, rank=vote[1] * float(quality))
        for crop, quality in zip(found.crops, found.quality, strict=True)
        if (vote := _vote(crop, classes, labels)) is not None and vote[1] >= agreement
    ]
    named.sort(key=lambda instance: -instance.rank)
    kept = sorted(_apart(named, classes, labels, overlap), key=lambda instance: -instance.agreement)[:most]
    spans = spans_of_crops([instance.crop for instance in kept], found.size_hw)
    return Predictions(
        found.size_hw,
        np.array([instance.label for instance in kept], np.int32),
        np.array([instance.agreement for instance in kept], np.float32),
        spans.bounds().astype(np.float32),
        spans,
    )


def _vote(crop: Crop, classes: NDArray[np.uint8], labels: NDArray[np.int32]) -> tuple[int, float] | None:
    """The most frequent label in a mask and its share of it; None where no pixel has one."""
    pixels, x, y = crop
    height, width = pixels.shape
    counts = np.bincount(classes[y : y + height, x : x + width][pixels], minlength=len(labels))
    votes = np.bincount(labels[labels >= 0], counts[: len(labels)][labels >= 0])
    if not votes.any():
        return None
    label = int(votes.argmax())
    return label, float(votes[label] / counts.sum())


def _apart(
    ranked: list[_Instance], classes: NDArray[np.uint8], labels: NDArray[np.int32], overlap: float
) -> Iterator[_Instance]:
    """The better ones whole, of the others what is left, if that is enough of them."""
    taken = np.zeros(classes.shape, np.bool_)
    for instance in ranked:
        pixels, x, y = instance.crop
        height, width = pixels.shape
        window = taken[y : y + height, x : x + width]
        free = pixels & ~window
        left, all_of_it = np.count_nonzero(free), np.count_nonzero(pixels)
        if left == 0 or all_of_it - left > overlap * all_of_it:
            continue
        window |= pixels
        if left == all_of_it:
            yield instance
            continue
        x1, y1, x2, y2 = mask_bounds(free)
        crop = (np.ascontiguousarray(free[y1:y2, x1:x2]), x + x1, y + y1)
        if (vote := _vote(crop, classes, labels)) is not None and vote[0] == instance.label:
            yield instance._replace(crop=crop, agreement=vote[1])
