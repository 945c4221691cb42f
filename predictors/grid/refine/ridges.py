"""How much a place looks like a bright string."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.grid.refine.lattice import Seen
from predictors.grid.refine.profiles import Floats, Gray, across, box_mean, shifted

LEAST_RIDGE = 7.0
"""Levels by which a string is brighter than both of its sides."""
_CAP = 45.0
_WIDTH = 0.042
"""A string's width in parts of the spacing of strings; a ridge filter need not fit it well."""


class Ridges:
    """The ridge filter of one picture: a string's width beside two of the ground, the smaller difference counts."""

    def __init__(self, gray: Gray, spacing_px: float) -> None:
        self.gray = gray
        self.width = max(3, round(_WIDTH * spacing_px)) | 1
        self.margin = 2 * self.width + self.width // 2 + 1

    def across(self, seen: Seen, offsets: NDArray[np.float64]) -> Floats:
        """float32 [S, Q]: levels at each of `offsets` [Q] (one pixel apart) across each place; NaN off the picture."""
        longer = np.concatenate(
            [offsets[0] - np.arange(self.margin, 0, -1), offsets, offsets[-1] + np.arange(1, self.margin + 1)]
        )
        smooth = box_mean(across(self.gray, seen.at, seen.normal, longer), self.width)
        apart = (3 * self.width + 1) // 2
        beside = np.maximum(shifted(smooth, -apart), shifted(smooth, apart))
        return np.asarray((smooth - beside)[:, self.margin : -self.margin], np.float32)

    def brightness(self, seen: Seen) -> Floats:
        """Levels of each place itself, over a string's width: float32 [S]; NaN off the picture."""
        half = self.width // 2
        strip = across(self.gray, seen.at, seen.normal, np.arange(-half, half + 1.0))
        return np.asarray(strip.mean(axis=1), np.float32)

    def capped(self, seen: Seen, offsets: NDArray[np.float64]) -> Floats:
        """The same, 0..1: a bright speck counts no more than a string."""
        return np.asarray(np.clip(self.across(seen, offsets) / np.float32(_CAP), 0, 1), np.float32)
