"""What the mask finder hands over: plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Crop = tuple[NDArray[np.bool_], int, int]
"""Pixels of a mask inside its bounds, bool [h, w], and the x and y of the crop's left upper pixel in the image."""


@dataclass(frozen=True, slots=True)
class Found:
    """D masks in an image of `size_hw`, by falling predicted quality.

    quality: float32 [D], the IoU with the true mask as SAM predicts it; stability: float32 [D], 0..1, how little the
    mask depends on the threshold it was cut at
    """

    size_hw: tuple[int, int]
    crops: list[Crop]
    quality: NDArray[np.float32]
    stability: NDArray[np.float32]
