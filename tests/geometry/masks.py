"""Masks that are hard on contours and run lengths, and slow, obvious answers to compare with."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SIZES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)


@st.composite
def any_mask(draw: st.DrawFn) -> np.ndarray:
    """Bool [h, w]: noise (corners touching, holes, many parts), blocks, or smooth blobs that may leave the image."""
    height, width = draw(SIZES)
    kind = draw(st.sampled_from(("noise", "blocks", "blob")))
    if kind == "noise":
        return draw(hnp.arrays(np.bool_, (height, width)))
    mask = np.zeros((height, width), np.bool_)
    if kind == "blocks":
        for _ in range(draw(st.integers(0, 4))):
            y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
            h, w = draw(st.integers(1, height)), draw(st.integers(1, width))
            mask[y : y + h, x : x + w] = draw(st.booleans())
        return mask
    seed = draw(st.integers(0, 2**16))
    noise = np.random.Generator(np.random.PCG64(seed)).standard_normal((height * 4, width * 4)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), draw(st.sampled_from((1.0, 3.0)))) > 0


@st.composite
def mask_stacks(draw: st.DrawFn) -> np.ndarray:
    """Bool [D, H, W] of 0 to 4 masks of one size."""
    first = draw(any_mask())
    more = draw(st.lists(hnp.arrays(np.bool_, first.shape), max_size=2))
    stack = np.stack([first, *more, np.zeros_like(first)])
    return stack[: draw(st.integers(0, len(stack)))]


def filled_parts(mask: np.ndarray) -> list[np.ndarray]:
    """The 4-connected parts of a mask, each with what it encloses filled in."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    parts = []
    for number in range(1, count):
        outside = (np.pad(labels, 1) != number).astype(np.uint8)
        _, regions = cv2.connectedComponents(outside, connectivity=4)
        parts.append((regions != regions[0, 0])[1:-1, 1:-1])
    return parts


def comb(teeth: int, depth: int) -> np.ndarray:
    """Teeth one pixel wide with gaps of one pixel: a large tolerance folds them over each other."""
    mask = np.zeros((depth + 2, 2 * teeth + 1), np.bool_)
    mask[0] = True
    mask[1:, 1::2] = True
    return mask


def spiral(turns: int) -> np.ndarray:
    """A path of one pixel's width that winds inwards with gaps of one pixel."""
    size = 4 * turns + 3
    mask = np.zeros((size, size), np.bool_)
    y = x = 0
    step_y, step_x = 0, 1
    mask[0, 0] = True
    for length in [size - 1, *(n for side in range(size - 1, 0, -2) for n in (side, side))]:
        for _ in range(length):
            y, x = y + step_y, x + step_x
            if not (0 <= y < size and 0 <= x < size):
                return mask
            mask[y, x] = True
        step_y, step_x = step_x, -step_y
    return mask


def smooth(seed: int, size_hw: tuple[int, int], sigma: float) -> np.ndarray:
    """Float32 [H, W] of smooth noise around 0, like a model's logits."""
    noise = np.random.Generator(np.random.PCG64(seed)).standard_normal(size_hw).astype(np.float32)
    field = cv2.GaussianBlur(noise, (0, 0), sigma)
    return field / field.std()
