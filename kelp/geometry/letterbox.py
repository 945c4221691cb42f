"""The letterbox: an image scaled into the model's input with its proportions kept, the rest padded on both sides.

The arithmetic is that of ultralytics' `LetterBox(center=True)`, `scale_boxes` and `process_mask_native`, roundings
included, so that boxes and masks agree with its own `predict`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PADDING_GRAY = 114


class MaskWindow(NamedTuple):
    """Where the image lies in a mask grid enlarged `factor` times: rows top:bottom, columns left:right."""

    factor: int
    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Letterbox:
    """How an image of `original_hw` lies in a model input of `model_hw`, both (height, width) in pixels."""

    original_hw: tuple[int, int]
    model_hw: tuple[int, int]

    def __post_init__(self) -> None:
        if min(*self.original_hw, *self.model_hw) < 1:
            raise ValueError(f"letterbox: expected sizes of 1 pixel and more, got {self.original_hw}, {self.model_hw}")

    @classmethod
    def smallest(cls, original_hw: tuple[int, int], target_hw: tuple[int, int], stride: int = 32) -> Letterbox:
        """The letterbox with the least padding whose sides are those of `target_hw` less whole strides.

        What ultralytics calls `auto`: only for models that take any input size.
        """
        whole = cls(original_hw, target_hw)
        height, width = whole.content_hw
        least = (height + (target_hw[0] - height) % stride, width + (target_hw[1] - width) % stride)
        return cls(original_hw, least)

    @cached_property
    def content_hw(self) -> tuple[int, int]:
        """Size of the scaled image inside the model's input."""
        scale = min(self.model_hw[0] / self.original_hw[0], self.model_hw[1] / self.original_hw[1])
        return max(round(self.original_hw[0] * scale), 1), max(round(self.original_hw[1] * scale), 1)

    @cached_property
    def top_left(self) -> tuple[int, int]:
        """Rows above and columns left of the scaled image; an odd row of padding goes below or right."""
        return _margin(self.model_hw[0], self.content_hw[0]), _margin(self.model_hw[1], self.content_hw[1])

    @cached_property
    def gain_xy(self) -> tuple[float, float]:
        """Model pixels per original pixel, by axis: the sides are rounded one by one."""
        return self.content_hw[1] / self.original_hw[1], self.content_hw[0] / self.original_hw[0]

    def apply(self, image: NDArray[np.uint8], padding: int = PADDING_GRAY) -> NDArray[np.uint8]:
        """`image` uint8 [H, W, C] scaled (bilinear) and padded, uint8 [model height, model width, C]."""
        # Processes that only move results about never need OpenCV, and start sooner without it.
        import cv2

        if image.shape[:2] != self.original_hw:
            raise ValueError(f"image: expected {self.original_hw}, got {image.shape[:2]}")
        height, width = self.content_hw
        top, left = self.top_left
        shape = (*self.model_hw, *image.shape[2:])
        padded = np.full(shape, padding, np.uint8)
        content = padded[top : top + height, left : left + width]
        if self.content_hw == self.original_hw:
            content[...] = image
        else:
            content[...] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).reshape(content.shape)
        return padded

    def forward(self, points: NDArray[Any]) -> NDArray[np.float32]:
        """Points [..., 2] x y (or boxes [..., 4]) from original to model pixels, float32."""
        return points.astype(np.float32) * self._vector(points, *self.gain_xy) + self._vector(points, *self._left_top)

    def inverse(self, points: NDArray[Any]) -> NDArray[np.float32]:
        """Points [..., 2] x y (or boxes [..., 4]) from model to original pixels, clipped to the image, float32."""
        moved = points.astype(np.float32) - self._vector(points, *self._left_top)
        moved /= self._vector(points, *self.gain_xy)
        height, width = self.original_hw
        return np.clip(moved, 0, self._vector(points, width, height), out=moved)

    def mask_window(self, mask_hw: tuple[int, int]) -> MaskWindow:
        """Where the image lies in masks of `mask_hw` (height, width) that cover the model's whole input.

        The grid is enlarged by the smallest factor for which the padding ends on whole cells.
        """
        stride = max(self.model_hw[0] // mask_hw[0], 1)
        padding = self.model_hw[0] - self.content_hw[0], self.model_hw[1] - self.content_hw[1]
        factor = stride // math.gcd(stride, *padding, *(side // 2 for side in padding))
        height, width = mask_hw[0] * factor, mask_hw[1] * factor
        inner = Letterbox(self.original_hw, (height, width))
        top, left = inner.top_left
        return MaskWindow(factor, top, left, top + inner.content_hw[0], left + inner.content_hw[1])

    @property
    def _left_top(self) -> tuple[int, int]:
        return self.top_left[1], self.top_left[0]

    @staticmethod
    def _vector(points: NDArray[Any], x: float, y: float) -> NDArray[np.float32]:
        return np.array((x, y) * (points.shape[-1] // 2), np.float32)


def _margin(outer: int, inner: int) -> int:
    return round((outer - inner) / 2 - 0.1)
