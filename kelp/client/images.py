"""Images as V2's input `image`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.codec import Buffer, Tensor
from kelp.errors import InvalidRequest

Image = Buffer | NDArray[np.uint8]


def image_tensor(images: Sequence[Image]) -> Tensor:
    """BYTES [N] of encoded images, or UINT8 [N, H, W, 3] of RGB arrays of one size.

    A single array is passed uncopied. InvalidRequest where the images do not go together.
    """
    if not images:
        raise InvalidRequest("images: expected at least one")
    arrays = [image for image in images if isinstance(image, np.ndarray)]
    if not arrays:
        return Tensor.from_bytes("image", [image for image in images if not isinstance(image, np.ndarray)])
    if len(arrays) != len(images):
        raise InvalidRequest("images: expected either encoded images or arrays, not both in one request")
    for index, array in enumerate(arrays):
        _check(array, index, arrays[0].shape)
    return Tensor.from_array("image", arrays[0][None] if len(arrays) == 1 else np.stack(arrays))


def _check(array: NDArray[Any], index: int, shape: tuple[int, ...]) -> None:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise InvalidRequest(
            f"images[{index}]: expected uint8 [height, width, 3] RGB, got {array.dtype} {list(array.shape)}"
        )
    if array.shape != shape:
        raise InvalidRequest(
            f"images[{index}]: arrays of one request have one size; expected {list(shape)}, got {list(array.shape)}"
        )
