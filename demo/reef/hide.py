"""What lies over the strings: fish that swim by, and colonies that have grown up through the grid."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef.colony import Place, draw
from demo.reef.genera import GENERA
from demo.reef.light import Light
from demo.reef.noise import Plane

_COLONY_MM = (16.0, 26.0)
_FISH_MM = ((60.0, 95.0), (26.0, 38.0))
_SHIFT = 5


def hide(
    rng: np.random.Generator,
    canvas: Plane,
    points: NDArray[np.float64],
    share: float,
    px_per_mm: float,
    light: Light,
) -> NDArray[np.bool_]:
    """Covers about `share` of `points` [K, 2] in `canvas` (float32 [H, W, 3]), in place; bool [K]: which are hidden."""
    cover = np.zeros(canvas.shape[:2], np.int32)
    for number in rng.choice(len(points), round(share * len(points)), replace=False):
        x, y = points[number]
        if rng.uniform() < 0.5:
            genus = GENERA[int(rng.integers(len(GENERA)))]
            radius = float(rng.uniform(*_COLONY_MM)) * px_per_mm
            seed = np.random.SeedSequence(int(rng.integers(2**32)))
            draw(canvas, cover, 1, genus, Place(float(x), float(y), radius, px_per_mm), light, seed)
        else:
            _fish(rng, canvas, cover, (float(x), float(y)), px_per_mm)
    column, row = np.rint(points).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < canvas.shape[1]) & (row < canvas.shape[0])
    hidden = np.zeros(len(points), bool)
    hidden[inside] = cover[row[inside], column[inside]] > 0
    return hidden


def _fish(
    rng: np.random.Generator, canvas: Plane, cover: NDArray[np.int32], at: tuple[float, float], px_per_mm: float
) -> None:
    """A fish seen from above or from its side: body, tail, a lighter belly."""
    long, wide = (float(rng.uniform(*bounds)) * px_per_mm for bounds in _FISH_MM)
    angle = float(rng.uniform(0, 360))
    body = np.zeros(cover.shape, np.uint8)
    _ellipse(body, at, (long / 2, wide / 2), angle)
    turn = np.deg2rad(angle)
    back = np.array([np.cos(turn), np.sin(turn)])
    side = np.array([-back[1], back[0]])
    root = np.array(at) + 0.38 * long * back
    tail = np.array(
        [root, root + 0.26 * long * back + 0.42 * wide * side, root + 0.26 * long * back - 0.42 * wide * side]
    )
    cv2.fillPoly(body, [np.rint(tail * (1 << _SHIFT)).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
    belly = np.zeros_like(body)
    _ellipse(belly, (at[0] + 0.12 * wide * side[0], at[1] + 0.12 * wide * side[1]), (0.4 * long, 0.26 * wide), angle)
    colour = rng.uniform(30, 190, 3).astype(np.float32)
    for shape, paint in ((body, colour), (belly, np.minimum(colour * np.float32(1.35) + 14, 240))):
        rows, columns = np.nonzero(shape)
        weight = shape[rows, columns].astype(np.float32)[:, None] / np.float32(255)
        under = canvas[rows, columns]
        canvas[rows, columns] = under + weight * (paint - under)
    cover[body >= 128] = 1


def _ellipse(canvas: NDArray[np.uint8], at: tuple[float, float], half: tuple[float, float], angle: float) -> None:
    fine = 1 << _SHIFT
    middle = (round(at[0] * fine), round(at[1] * fine))
    axes = (max(1, round(half[0] * fine)), max(1, round(half[1] * fine)))
    cv2.ellipse(canvas, middle, axes, angle, 0, 360, 255, cv2.FILLED, cv2.LINE_AA, _SHIFT)
