"""Where the light comes from, and how bright a relief is under it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo.reef.noise import Plane


@dataclass(frozen=True)
class Light:
    """The light's direction: a unit vector in picture axes (x right, y down, z towards the camera)."""

    x: float
    y: float
    z: float


def light_from(rng: np.random.Generator) -> Light:
    """Light from any side, neither flat nor straight from above."""
    azimuth, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0.45, 0.75)
    return Light(float(slope * np.cos(azimuth)), float(slope * np.sin(azimuth)), float(np.sqrt(1 - slope**2)))


def shade(relief_px: Plane, light: Light, ambient: float = 0.42) -> Plane:
    """Lambert's law on a relief (float32 [H, W], pixels): brightness float32 [H, W], 1 where the ground is level."""
    across = cv2.Sobel(relief_px, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(relief_px, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    facing = np.float32(light.z) - across * np.float32(light.x) - down * np.float32(light.y)
    facing /= np.sqrt(1 + across * across + down * down)
    return np.float32(ambient) + np.float32((1 - ambient) / light.z) * np.maximum(facing, 0)
