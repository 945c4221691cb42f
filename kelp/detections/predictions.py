"""What a predictor hands over for one image: boxes, scores, labels and, where it has them, masks and keypoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kelp.detections.check import array
from kelp.geometry.spans import MaskSpans


@dataclass(frozen=True, slots=True)
class Predictions:
    """D instances found in one image, all coordinates in pixels of the ORIGINAL image.

    size_hw: (height, width) of the original image
    label_id: int32 [D], index into the model's label names
    score: float32 [D], 0..1
    box: float32 [D, 4], x1 y1 x2 y2, x2 and y2 exclusive
    masks: masks of the D instances as spans in the original image (`kelp.geometry.spans`), or None where there are none
    keypoints: float32 [D, K, 3], x y visibility 0..1, or None
    Raises ValueError where shapes disagree.
    """

    size_hw: tuple[int, int]
    label_id: NDArray[np.int32]
    score: NDArray[np.float32]
    box: NDArray[np.float32]
    masks: MaskSpans | None = None
    keypoints: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.label_id)
        array(self.label_id, "label_id", np.int32, (count,))
        array(self.score, "score", np.float32, (count,))
        array(self.box, "box", np.float32, (count, 4))
        if self.keypoints is not None:
            array(self.keypoints, "keypoints", np.float32, (count, None, 3))
        if self.masks is not None and (len(self.masks) != count or self.masks.size_hw != self.size_hw):
            raise ValueError(
                f"masks: expected {count} in an image of {self.size_hw}, got {len(self.masks)} in {self.masks.size_hw}"
            )

    def __len__(self) -> int:
        return len(self.label_id)
