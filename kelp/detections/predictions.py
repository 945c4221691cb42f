"""What a predictor hands over for one image: boxes, scores, labels and, where it has them, masks and keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kelp.detections.check import array


class CropMask(NamedTuple):
    """An instance's mask, cut to where it is.

    `pixels`: bool or uint8 0/1 [h, w]; `x`, `y`: the crop's left upper pixel in the original image.
    """

    pixels: NDArray[np.uint8] | NDArray[np.bool_]
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Predictions:
    """D instances found in one image, all coordinates in pixels of the ORIGINAL image.

    size_hw: (height, width) of the original image
    label_id: int32 [D], index into the model's label names
    score: float32 [D], 0..1
    box: float32 [D, 4], x1 y1 x2 y2, x2 and y2 exclusive
    masks: D masks, or None where the model has none
    keypoints: float32 [D, K, 3], x y visibility 0..1, or None
    Raises ValueError where shapes disagree.
    """

    size_hw: tuple[int, int]
    label_id: NDArray[np.int32]
    score: NDArray[np.float32]
    box: NDArray[np.float32]
    masks: Sequence[CropMask] | None = None
    keypoints: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.label_id)
        array(self.label_id, "label_id", np.int32, (count,))
        array(self.score, "score", np.float32, (count,))
        array(self.box, "box", np.float32, (count, 4))
        if self.keypoints is not None:
            array(self.keypoints, "keypoints", np.float32, (count, None, 3))
        if self.masks is not None and len(self.masks) != count:
            raise ValueError(f"masks: expected {count}, one a label_id, got {len(self.masks)}")

    def __len__(self) -> int:
        return len(self.label_id)
