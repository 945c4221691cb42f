"""One colony, drawn into the picture with its shadow."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef.genera import Genus
from demo.reef.light import Light, shade
from demo.reef.noise import Plane, fractal_noise
from demo.reef.outline import Patch, patch
from demo.reef.texture import surface

_BROWN = (146, 122, 88)


@dataclass(frozen=True)
class Place:
    """Where a colony grows: centre x, y in pixels, radius in pixels, and pixels a millimetre there."""

    x: float
    y: float
    radius: float
    px_per_mm: float


def draw(
    canvas: Plane,
    owner: NDArray[np.int32],
    number: int,
    genus: Genus,
    place: Place,
    light: Light,
    seed: np.random.SeedSequence,
) -> None:
    """Draws a colony over `canvas` (float32 [H, W, 3], RGB 0..255) and writes `number` into `owner` (int32 [H, W])."""
    rng = np.random.Generator(np.random.PCG64(seed))
    colours = genus.colours[int(rng.integers(len(genus.colours)))]
    tint = rng.uniform(0.93, 1.07, 3) * rng.uniform(0.82, 1.1)
    muted = np.float32(rng.uniform(0.06, 0.34))
    grain = genus.grain_mm * place.px_per_mm * rng.uniform(0.85, 1.15)
    offset = (place.x - round(place.x), place.y - round(place.y))
    area = patch(rng, genus.outline, offset, place.radius, grain, 0.3 * place.radius)
    half = area.shape[0] // 2
    x0, y0 = round(place.x) - half, round(place.y) - half
    skin = surface(rng, genus.texture, area, grain)
    relief = skin.relief * np.float32(grain) + _body(area, genus.dome)
    bright = shade(relief, light)
    bright *= np.float32(0.72) + np.float32(0.28) * skin.tone
    bright *= 1 + np.float32(0.16) * fractal_noise(rng, *area.shape, 70, 2)
    # Towards its edge a colony falls away from the light.
    bright *= np.float32(0.5) + np.float32(0.5) * np.clip(area.inside / np.float32(0.13 * place.radius), 0, 1)

    dark, lit = (np.asarray(colour, np.float32) for colour in colours)
    paint = dark + skin.tone[..., None] * (lit - dark)
    paint += (np.float32(0.72) * skin.accent)[..., None] * (np.asarray(genus.accent, np.float32) - paint)
    # Symbiotic algae turn every coral somewhat brown, in blotches.
    algae = muted * (1 + np.float32(0.8) * fractal_noise(rng, *area.shape, 5, 3))
    brown = np.asarray(_BROWN, np.float32) * (np.float32(0.35) + np.float32(0.8) * skin.tone)[..., None]
    paint += algae[..., None] * (brown - paint)
    paint *= bright[..., None] * tint.astype(np.float32)

    alpha = np.clip(area.inside + np.float32(0.5), 0, 1)
    shadow = _shadow(alpha, light, genus, place)
    height, width = owner.shape
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x0 + 2 * half + 1, width), min(y0 + 2 * half + 1, height)
    here = (slice(top, bottom), slice(left, right))
    of = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
    under = canvas[here]
    under *= (1 - shadow[of])[..., None]
    under += alpha[of][..., None] * (paint[of] - under)
    owner[here][alpha[of] >= 0.5] = number


def _body(area: Patch, dome: float) -> Plane:
    """The colony's own swelling (or hollow), in pixels."""
    swell = np.sqrt(np.clip(1.02 - np.minimum(area.radial, 1) ** 2, 0, None))
    return np.float32(0.6 * dome * area.radius) * swell


def _shadow(alpha: Plane, light: Light, genus: Genus, place: Place) -> Plane:
    """The shadow a colony casts around itself: float32 [H, W], 0 none..0.6."""
    rise = (0.05 + 0.14 * abs(genus.dome)) * place.radius
    shift = np.array([[1, 0, -rise * light.x], [0, 1, -rise * light.y]], np.float32)
    height, width = alpha.shape
    cast = cv2.warpAffine(alpha, shift, (width, height))
    return np.float32(0.62) * cv2.GaussianBlur(cast, (0, 0), max(0.06 * place.radius, 0.8))
