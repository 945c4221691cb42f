"""What lies between the corals: sand, rubble, and rock under algae."""

from __future__ import annotations

import cv2
import numpy as np

from demo.reef.light import Light, shade
from demo.reef.noise import Cells, Plane, cells, fractal_noise, scatter, smoothstep

_SAND = (206, 192, 162)
_ROCK = (120, 108, 92)
_TURF = (92, 90, 56)
_CRUST = (158, 108, 112)
_BLEACHED = (198, 186, 166)


def seabed(rng: np.random.Generator, size: int, px_per_mm: float, light: Light) -> Plane:
    """The ground without corals: float32 [size, size, 3], RGB 0..255."""
    swell = _coarse(rng, size, 4, 5)
    bare = _coarse(rng, size, 3, 6) + np.float32(0.2 * rng.uniform(-1, 1))
    grit = fractal_noise(rng, size, size, 420, 1)
    fine = fractal_noise(rng, size, size, 110, 2)
    turf = smoothstep(-0.05, 0.25, _coarse(rng, size, 7, 5) + np.float32(0.25) * fine)
    crust = smoothstep(0.16, 0.3, _coarse(rng, size, 9, 4) + np.float32(0.2) * fine)
    sand = smoothstep(0.02, 0.14, bare + np.float32(0.22) * fine)

    stones, pebbles = _stones(rng, size, 30 * px_per_mm), _stones(rng, size, 13 * px_per_mm)
    high, low = _rounded(stones, 30 * px_per_mm), _rounded(pebbles, 13 * px_per_mm)
    large = high > np.float32(0.35) * low + np.float32(0.12)
    lump = np.where(large, high, np.float32(0.5) * low)
    lump = cv2.GaussianBlur(lump, (0, 0), max(1.1 * px_per_mm, 0.4))

    # Colour needs no more than half the resolution: the eye sees detail in light and shade.
    half = (slice(None, None, 2), slice(None, None, 2))
    stone = np.empty((*sand[half].shape, 3), np.float32)
    stone[:] = _ROCK
    _blend(stone, turf[half], _TURF)
    _blend(stone, np.float32(0.75) * crust[half], _CRUST)
    bleached = np.where(large[half], _some(rng, stones, 0.22)[half], _some(rng, pebbles, 0.3)[half])
    _blend(stone, bleached, _BLEACHED)
    stone *= (np.float32(0.35) + np.float32(0.75) * lump[half] + np.float32(0.16) * fine[half])[..., None]
    _blend(stone, sand[half], _SAND)
    ground = np.asarray(cv2.resize(stone, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)

    relief = px_per_mm * (
        np.float32(34) * swell + (1 - sand) * (np.float32(11) * lump + np.float32(4) * fine) + np.float32(1.1) * grit
    )
    ground *= (shade(relief, light) * (1 + np.float32(0.09) * grit))[..., None]
    return ground


def _coarse(rng: np.random.Generator, size: int, blobs: float, octaves: int) -> Plane:
    """Noise without detail, made at a quarter of the size."""
    small = fractal_noise(rng, max(size // 4, 16), max(size // 4, 16), blobs, octaves)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


def _stones(rng: np.random.Generator, size: int, spacing: float) -> Cells:
    return cells(size, size, scatter(rng, size, size, max(spacing, 3.0), 0.45))


def _rounded(of: Cells, spacing: float) -> Plane:
    """0 in the gaps between stones .. 1 on top of large ones."""
    return smoothstep(0.0, 0.5, of.wall / np.float32(spacing))


def _some(rng: np.random.Generator, of: Cells, part: float) -> Plane:
    """A random weight for about `part` of the stones, 0 for the others."""
    weight = np.clip((rng.uniform(0, 1, len(of.seeds)) - (1 - part)) / part, 0, 1) * 0.8
    return weight.astype(np.float32)[of.index]


def _blend(ground: Plane, weight: Plane, colour: tuple[int, int, int]) -> None:
    ground += weight[..., None] * (np.asarray(colour, np.float32) - ground)
