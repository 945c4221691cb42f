"""Pictures of a training from disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def read_rgb(file: Path) -> NDArray[np.uint8]:
    """uint8 [H, W, 3], RGB. FileNotFoundError for what is no picture."""
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(file)
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)
