"""Smooth noise and cellular patterns: what every texture of the reef is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]
"""float32 [H, W] (or [H, W, 3]); numpy's own types lose sight of the width in sums with Python's numbers."""


def value_noise(rng: np.random.Generator, height: int, width: int, cells: float) -> Plane:
    """Smooth noise of about `cells` blobs across the larger side: float32 [height, width], mean 0, about -1..1.

    The random lattice does not depend on the resolution, so a scene looks the same at every size.
    """
    longest = max(height, width)
    rows = max(2, round(cells * height / longest)) + 2
    columns = max(2, round(cells * width / longest)) + 2
    lattice = rng.uniform(-1.0, 1.0, (rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(lattice, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def fractal_noise(rng: np.random.Generator, height: int, width: int, cells: float, octaves: int) -> Plane:
    """Octaves of `value_noise`, each twice as fine and half as strong: float32 [height, width], about -1..1."""
    total = np.zeros((height, width), np.float32)
    strength = 1.0
    reach = 0.0
    for _ in range(octaves):
        # Octaves finer than two pixels would be aliasing; they are drawn all the same so that the rest stays put.
        layer = value_noise(rng, height, width, cells)
        if cells * 2 <= max(height, width):
            total += np.float32(strength) * layer
        reach += strength
        strength *= 0.5
        cells *= 2
    return total / np.float32(reach)


def labyrinth(rng: np.random.Generator, height: int, width: int, wavelength_px: float, stretch: float = 1.0) -> Plane:
    """Winding ridges and valleys of one wavelength: float32 [height, width], about -1..1.

    White noise through a band-pass (a difference of two Gaussians) on a lattice of six samples a wavelength.
    `stretch` > 1 draws the ridges out along x.
    """
    step = max(wavelength_px / 6.0, 1e-3)
    rows, columns = int(height / step) + 8, int(width / (step * stretch)) + 8
    white = rng.standard_normal((rows, columns), dtype=np.float32)
    band = cv2.GaussianBlur(white, (0, 0), 1.1) - cv2.GaussianBlur(white, (0, 0), 2.2)
    band /= np.float32(2.0 * max(float(band.std()), 1e-6))
    return np.clip(cv2.resize(band[4:-4, 4:-4], (width, height), interpolation=cv2.INTER_CUBIC), -1.5, 1.5)


@dataclass(frozen=True)
class Cells:
    """Which of the scattered seeds is nearest to each pixel.

    index: int32 [H, W], row of `seeds`; dx, dy, distance: float32 [H, W], pixels from that seed; wall: float32 [H, W],
    pixels to the border between two cells.
    """

    seeds: Plane
    index: NDArray[np.int32]
    dx: Plane
    dy: Plane
    distance: Plane
    wall: Plane


def scatter(rng: np.random.Generator, height: int, width: int, spacing_px: float, jitter: float) -> Plane:
    """Seeds on a jittered hexagonal lattice that covers the area: float32 [S, 2], x and y in pixels."""
    # Rounded up to eights, or the count, and with it every random number after, would hang on a pixel more or less.
    rows = (int(height / (spacing_px * 0.866)) + 10) // 8 * 8
    columns = (int(width / spacing_px) + 10) // 8 * 8
    row, column = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x = (column - 0.75 + 0.5 * (row % 2)) * spacing_px
    y = (row - 0.75) * spacing_px * 0.866
    shift = rng.uniform(-jitter, jitter, (2, rows, columns)).astype(np.float32) * np.float32(spacing_px)
    return np.stack([(x + shift[0]).ravel(), (y + shift[1]).ravel()], axis=1).astype(np.float32)


def cells(height: int, width: int, seeds: Plane) -> Cells:
    """The Voronoi cells of `seeds` (float32 [S, 2], at least one inside the area), by a labelled distance transform."""
    column = np.rint(seeds[:, 0]).astype(np.int32)
    row = np.rint(seeds[:, 1]).astype(np.int32)
    inside = np.flatnonzero((column >= 0) & (column < width) & (row >= 0) & (row < height))
    canvas = np.ones((height, width), np.uint8)
    canvas[row[inside], column[inside]] = 0
    _, labels = cv2.distanceTransformWithLabels(canvas, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    to_seed = np.zeros(int(labels.max()) + 1, np.int32)
    to_seed[labels[row[inside], column[inside]]] = inside
    index = to_seed[labels]
    xs = np.arange(width, dtype=np.float32)[None, :]
    ys = np.arange(height, dtype=np.float32)[:, None]
    dx = xs - seeds[index, 0]
    dy = ys - seeds[index, 1]
    border = np.ones((height, width), np.uint8)
    border[:, 1:][labels[:, 1:] != labels[:, :-1]] = 0
    border[1:, :][labels[1:, :] != labels[:-1, :]] = 0
    wall = np.asarray(cv2.distanceTransform(border, cv2.DIST_L2, 3), np.float32)
    return Cells(seeds, index, dx, dy, np.sqrt(dx * dx + dy * dy), wall)


def smoothstep(low: float, high: float, value: Plane) -> Plane:
    """0 below `low`, 1 above `high`, a smooth curve between them; elementwise."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
