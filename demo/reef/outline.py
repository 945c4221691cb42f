"""The edge of a colony: how far each pixel lies inside it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo.reef.noise import Cells, Plane, cells, fractal_noise, scatter

_TABLE = 720
# For each kind: strength of the edge's waves by how many go round the colony.
_WAVES: dict[str, dict[int, float]] = {
    "round": {2: 0.10, 3: 0.06, 4: 0.04, 5: 0.025, 7: 0.015},
    "disc": {2: 0.08, 3: 0.02},
    "lobed": {2: 0.12, 3: 0.10, 4: 0.09, 5: 0.08, 6: 0.06, 7: 0.05, 8: 0.03},
    "ragged": {2: 0.15, 3: 0.13, 4: 0.10, 5: 0.08, 6: 0.06, 8: 0.05, 11: 0.04, 15: 0.03},
    "knobbly": {2: 0.13, 3: 0.10, 4: 0.07, 5: 0.05},
}
# How ragged the edge is, in parts of the radius; others 0.05.
_WOBBLE = {"ragged": 0.16, "disc": 0.0, "round": 0.0}


@dataclass(frozen=True)
class Patch:
    """The piece of the picture that a colony covers, in the colony's own turned frame.

    x, y: float32 [H, W], pixels from the colony's centre along its own axes; phi: float32 [H, W], radians 0..2π;
    radial: float32 [H, W], 0 at the centre, 1 on the edge; inside: float32 [H, W], about the pixels inward from the
    edge; radius: the colony's, in pixels.
    """

    x: Plane
    y: Plane
    phi: Plane
    radial: Plane
    inside: Plane
    radius: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.x.shape
        return int(height), int(width)


def patch(
    rng: np.random.Generator, kind: str, offset: tuple[float, float], radius: float, grain: float, margin: float
) -> Patch:
    """A square patch around a colony, with an odd number of pixels a side and `margin` pixels to spare.

    offset: where the centre lies from the middle pixel; radius and grain: the colony's and one corallite's, in pixels.
    """
    angle = rng.uniform(0, 2 * np.pi)
    squash = rng.uniform(0.8, 1.0)
    waves = _WAVES[kind]
    strengths = rng.uniform(0.3, 1.0, len(waves)) * np.fromiter(waves.values(), float)
    phases = rng.uniform(0, 2 * np.pi, len(waves))
    turn = np.linspace(0, 2 * np.pi, _TABLE, endpoint=False)
    orders = np.fromiter(waves, float)
    profile = 1 + (strengths[:, None] * np.cos(orders[:, None] * turn + phases[:, None])).sum(axis=0)
    profile = (profile / np.sqrt((profile**2).mean())).astype(np.float32)
    wobbling = _WOBBLE.get(kind, 0.05)
    half = int(float(profile.max()) * radius * (1 + 0.8 * wobbling) + margin) + 2

    across = np.arange(-half, half + 1, dtype=np.float32)
    dx = across[None, :] - np.float32(offset[0])
    dy = across[:, None] - np.float32(offset[1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x = cos * dx + sin * dy
    y = (cos * dy - sin * dx) / np.float32(squash)
    rho, phi = (np.asarray(plane, np.float32) for plane in cv2.cartToPolar(x, y))
    reach = profile[(phi * np.float32(_TABLE / (2 * np.pi))).astype(np.int32) % _TABLE] * np.float32(radius)
    reach *= 1 + np.float32(wobbling) * fractal_noise(rng, 2 * half + 1, 2 * half + 1, 9, 3)
    radial = rho / np.maximum(reach, np.float32(1e-3))
    inside = (1 - radial) * reach
    if kind == "knobbly":
        inside = _knobbly(rng, radial, radius, grain)
    return Patch(x, y, phi, radial, inside, radius)


def _knobbly(rng: np.random.Generator, radial: Plane, radius: float, grain: float) -> Plane:
    """An edge made of round knobs: the union of discs on the scattered seeds that lie inside the smooth edge."""
    height, width = radial.shape
    knobs: Cells = cells(height, width, scatter(rng, height, width, max(grain, 2.0), 0.22))
    columns = np.clip(np.rint(knobs.seeds[:, 0]).astype(int), 0, width - 1)
    rows = np.clip(np.rint(knobs.seeds[:, 1]).astype(int), 0, height - 1)
    belongs = radial[rows, columns] < 1 - 0.35 * grain / radius
    solid = (belongs[knobs.index] & (knobs.distance < 0.66 * grain)).astype(np.uint8)
    if not solid.any():
        return np.where(radial < 0.5, np.float32(1), np.float32(-1))
    # Holes between knobs are shaded gaps of the same colony, so the edge keeps only its outer contour.
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    filled = cv2.drawContours(np.zeros_like(solid), [largest], -1, 1, cv2.FILLED)
    inward = cv2.distanceTransform(filled, cv2.DIST_L2, 3)
    outward = cv2.distanceTransform(1 - filled, cv2.DIST_L2, 3)
    return np.asarray(np.where(filled > 0, inward - np.float32(0.5), np.float32(0.5) - outward))
