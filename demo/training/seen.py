"""What a scene contributes to the training of a model that finds corals."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef import Scene


def seen(scene: Scene) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Picture and instances of a scene: half of the seeds as photographed, a quarter without the grid, a quarter
    cropped to the quadrat, with the grid or without.

    Further steps of a pipeline crop quadrats and remove grids, and the model should know both.
    """
    if scene.seed % 4 < 2:
        return scene.image, scene.instances
    if scene.seed % 4 == 2:
        return scene.image_without_grid, scene.instances
    size = scene.image.shape[0]
    target = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32) - np.float32(0.5)
    warp = cv2.getPerspectiveTransform(scene.corners.astype(np.float32), target)
    image = scene.image if scene.seed % 8 == 3 else scene.image_without_grid
    cropped = cv2.warpPerspective(image, warp, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    instances = cv2.warpPerspective(scene.instances.astype(np.int16), warp, (size, size), flags=cv2.INTER_NEAREST)
    return np.asarray(cropped, np.uint8), instances.astype(np.int32)
