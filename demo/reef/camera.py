"""What water, lens and sensor do to the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef.noise import Plane, fractal_noise

_NOISE_TILE = 512


@dataclass(frozen=True)
class Exposure:
    """One photograph's conditions, the same for the picture with and without the grid.

    gain: float32 [size, size, 3]; haze: float32 [3]; blur: sigma in pixels; noise: float32 [T, T, 3], levels,
    repeated over the picture.
    """

    gain: Plane
    haze: Plane
    blur: float
    noise: Plane


def exposure(rng: np.random.Generator, size: int) -> Exposure:
    """Draws light falloff, water colour, focus and sensor noise."""
    centre = rng.uniform(0.38, 0.62, 2)
    falloff = rng.uniform(0.25, 0.6)
    across = (np.arange(size, dtype=np.float32) + 0.5) / size
    far = (across[None, :] - np.float32(centre[0])) ** 2 + (across[:, None] - np.float32(centre[1])) ** 2
    light = 1 / (1 + np.float32(falloff * 2.4) * far)
    light *= 1 + np.float32(0.06) * fractal_noise(rng, size, size, 3, 2)
    depth = rng.uniform(0, 1)
    water = np.array([1.03 - 0.14 * depth, 1, 0.99], np.float32)
    level = rng.uniform(0.95, 1.2)
    gain = light[..., None] * (water * np.float32(level))
    haze = np.array([4, 8, 11], np.float32) * np.float32(0.2 + 0.9 * depth)
    blur = float(rng.uniform(0.35, 1.1)) * size / 1920
    strength = rng.uniform(2.0, 5.0) * np.sqrt(min(1.0, size / 1920))
    tile = rng.standard_normal((_NOISE_TILE, _NOISE_TILE, 3), dtype=np.float32) * np.float32(strength)
    return Exposure(gain, haze, blur, tile)


def photograph(scene: Plane, taken: Exposure) -> NDArray[np.uint8]:
    """float32 [size, size, 3] of the scene's own colours → the photograph, uint8 of the same shape."""
    picture = scene * taken.gain
    picture += taken.haze
    if taken.blur > 0.3:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), taken.blur), np.float32)
    # Highlights roll off instead of clipping at once.
    np.clip(picture, 0, 380, out=picture)
    picture -= np.float32(0.00045) * picture * picture
    picture *= np.float32(1.11)
    side = len(taken.noise)
    for top in range(0, picture.shape[0], side):
        for left in range(0, picture.shape[1], side):
            block = picture[top : top + side, left : left + side]
            block += taken.noise[: block.shape[0], : block.shape[1]]
    np.clip(picture, 0, 255, out=picture)
    return np.asarray(np.rint(picture), np.uint8)
