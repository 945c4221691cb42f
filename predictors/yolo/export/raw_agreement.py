"""Whether two engines of one network answer the same, before anything is chosen from their answers.

What is chosen (suppression, thresholds, the best so many) may fall either way where scores tie; the answers may not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictors.yolo.engine import Floats
from predictors.yolo.inputs import batches_of
from predictors.yolo.model import YoloModel

_SCORE = 0.03
_PX, _SHARE = 1.0, 0.01
"""How far an edge or a point may move: pixels of the network's input, or parts of the box's longer side."""
_RELATIVE = 0.05
"""Of mask coefficients and prototypes: in parts of the largest."""
_BEST = 50


def raw_faults(
    original: YoloModel, made: YoloModel, pictures: Sequence[NDArray[np.uint8]], conf: float
) -> list[str] | None:
    """A line for each picture whose answers differ; None where they cannot be laid side by side (another input size, or
    answers that are chosen already)."""
    ours, theirs = original.engine.facts, made.engine.facts
    if ours.finished or theirs.finished or (ours.any_size, ours.input_hw) != (theirs.any_size, theirs.input_hw):
        return None
    faults = []
    for number, picture in enumerate(pictures, start=1):
        ((_, images),) = batches_of([picture], ours)
        one, other = original.engine.run(images), made.engine.run(images)
        if one.predictions.shape != other.predictions.shape or (one.protos is None) != (other.protos is None):
            return None
        told = _different(original, one.predictions[0], other.predictions[0], conf)
        if told is None and one.protos is not None and other.protos is not None:
            told = _relative(one.protos, other.protos, "mask prototypes")
        if told is not None:
            faults.append(f"picture {number}: {told}")
    return faults


def _different(model: YoloModel, one: Floats, other: Floats, conf: float) -> str | None:
    labels = len(model.labels)
    scores, other_scores = one[4 : 4 + labels], other[4 : 4 + labels]
    apart = float(np.abs(scores - other_scores).max())
    if apart > _SCORE:
        return f"the network's scores differ by up to {apart:.3f}"
    best = scores.max(axis=0)
    told = np.union1d(np.flatnonzero(best >= conf / 2), np.argsort(-best)[:_BEST])
    boxes, other_boxes = one[:4, told], other[:4, told]
    allowed = np.maximum(_PX, _SHARE * boxes[2:].max(axis=0))
    moved = np.abs(boxes - other_boxes).max(axis=0)
    if (moved > allowed).any():
        return f"the network's boxes differ by up to {moved.max():.1f} px"
    extra, other_extra = one[4 + labels :, told], other[4 + labels :, told]
    shape = model.engine.facts.keypoint_shape
    if shape is None:
        return _relative(extra, other_extra, "mask coefficients") if extra.size else None
    points = np.abs(extra - other_extra).reshape(*shape, -1)
    if (points[:, :2] > allowed).any():
        return f"the network's points differ by up to {points[:, :2].max():.1f} px"
    if shape[1] > 2 and points[:, 2].max() > _SCORE:
        return f"the visibility of the network's points differs by up to {points[:, 2].max():.3f}"
    return None


def _relative(one: Floats, other: Floats, what: str) -> str | None:
    apart = float(np.abs(one - other).max()) / max(float(np.abs(one).max()), 1e-6)
    return f"the {what} differ by up to {100 * apart:.1f} %" if apart > _RELATIVE else None
