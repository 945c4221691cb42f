"""From what was found in the network's input to predictions in the original image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kelp.detections import Predictions
from kelp.geometry import Letterbox, spans_of_protos
from predictors.yolo.candidates import Found
from predictors.yolo.engine import Floats

MASK_OUTPUTS = frozenset({"polygon_offsets", "polygon_points", "mask_offsets", "mask_rle", "annotations"})
KEYPOINT_OUTPUTS = frozenset({"keypoints", "annotations"})


def predictions_of(
    found: Found,
    letterbox: Letterbox,
    outputs: frozenset[str],
    protos: Floats | None = None,
    keypoint_shape: tuple[int, int] | None = None,
) -> Predictions:
    """The instances that lie in the image, boxes clipped to it; masks and keypoints only if `outputs` need them.

    An instance whose box, or whose mask where masks are asked for, has no pixel in the image is left out, as
    ultralytics does it.
    """
    box = letterbox.inverse(found.box)
    seen = (box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])
    masks = None
    if protos is not None and outputs & MASK_OUTPUTS:
        # Those with an empty box cost nothing here, and come back empty.
        masks = spans_of_protos(found.extra, protos, box, letterbox)
        seen &= masks.counts > 0
    keypoints = None
    if keypoint_shape is not None and outputs & KEYPOINT_OUTPUTS:
        keypoints = _keypoints(found.extra, letterbox, keypoint_shape)
    if not seen.all():
        found = found.only(seen)
        box = box[seen]
        masks = None if masks is None else masks.take(seen)
        keypoints = None if keypoints is None else keypoints[seen]
    score = np.clip(found.score, 0, 1)
    return Predictions(letterbox.original_hw, found.label_id, score, box, masks, keypoints)


def _keypoints(extra: Floats, letterbox: Letterbox, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Points x y in the image and their visibility, float32 [D, K, 3]; 1 where the model knows no visibility."""
    points, values = shape
    given = extra[:, : points * values].reshape(-1, points, values)
    keypoints = np.ones((len(given), points, 3), np.float32)
    keypoints[..., :2] = letterbox.inverse(given[..., :2])
    if values > 2:
        keypoints[..., 2] = np.clip(given[..., 2], 0, 1)
    return keypoints
