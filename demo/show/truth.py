"""What is true of a quadrat after each stage: of the photograph, and of the square that was cropped out of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef import GENUS_NAMES, Scene
from kelp.geometry.quadrat import crop_quadrat


@dataclass(frozen=True)
class Truth:
    """image, bare: uint8 [S, S, 3] RGB, with and without frame and strings; instances: int32 [S, S], 0 background;
    genus_ids: int32 [N]; grid: float64 [117, 2], x and y in pixels, half-open as CVAT counts."""

    image: NDArray[np.uint8]
    bare: NDArray[np.uint8]
    instances: NDArray[np.int32]
    genus_ids: NDArray[np.int32]
    grid: NDArray[np.float64]

    @property
    def colonies(self) -> list[tuple[NDArray[np.bool_], str]]:
        """Mask and genus of each colony of which anything is seen."""
        seen = [i for i in np.unique(self.instances) if i]
        return [(self.instances == i, GENUS_NAMES[self.genus_ids[i - 1]]) for i in seen]


def corners_of(scene: Scene) -> NDArray[np.float64]:
    """The opening's corners, float64 [4, 2], half-open as CVAT counts."""
    return np.asarray(scene.corners + 0.5)


def cropped(scene: Scene, corners: NDArray[np.float64], size: int) -> Truth:
    """The truth of the square of `size` pixels that was cropped by `corners` [4, 2] (half-open)."""
    square = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float64)
    matrix = cv2.getPerspectiveTransform((corners - 0.5).astype(np.float32), (square - 0.5).astype(np.float32))
    owners = cv2.warpPerspective(scene.instances.astype(np.uint16), matrix, (size, size), flags=cv2.INTER_NEAREST)
    grid = cv2.perspectiveTransform(scene.grid_points[None], matrix)[0]
    return Truth(
        crop_quadrat(scene.image, corners, size),
        crop_quadrat(scene.image_without_grid, corners, size),
        owners.astype(np.int32),
        scene.genus_ids,
        np.asarray(grid + 0.5, np.float64),
    )
