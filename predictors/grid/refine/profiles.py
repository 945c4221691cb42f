"""Brightness across lines of the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
Floats = NDArray[np.float32]
Points = NDArray[np.float64]
_MOST_SIDE_PX = 2000.0
_WANTED_SIDE_PX = 1600.0
_ROW = 16384
"""OpenCV's remap takes maps of up to 32,767 rows."""


def whiteness(image: NDArray[np.uint8]) -> Gray:
    """uint8 [H, W] of RGB uint8 [H, W, 3]: the darkest channel. Strings and pipes are white, corals have a colour."""
    red, green, blue = cv2.split(image)
    return np.asarray(cv2.min(cv2.min(red, green), blue), np.uint8)


def shrunk(gray: Gray, side_px: float) -> tuple[Gray, float]:
    """The picture at a size at which the quadrat's side has at most 2000 pixels, and by how much it was scaled.

    Strings of large photographs are many pixels wide: nothing is gained from all of them.
    """
    if side_px <= _MOST_SIDE_PX:
        return gray, 1.0
    factor = _WANTED_SIDE_PX / side_px
    size = (max(1, round(gray.shape[1] * factor)), max(1, round(gray.shape[0] * factor)))
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8), factor


def across(gray: Gray, at: Points, normal: Points, offsets: NDArray[np.float64]) -> Floats:
    """Brightness at `at` + offset · `normal`: float32 [P, Q], NaN outside the picture.

    at, normal: [P, 2], x y in pixels, a pixel's centre at whole numbers; offsets: [Q], pixels.
    """
    x = (at[:, :1] + normal[:, :1] * offsets).astype(np.float32)
    y = (at[:, 1:] + normal[:, 1:] * offsets).astype(np.float32)
    inside = (x >= 0) & (y >= 0) & (x <= gray.shape[1] - 1) & (y <= gray.shape[0] - 1)
    parts = [
        cv2.remap(gray, x[start : start + _ROW], y[start : start + _ROW], cv2.INTER_LINEAR)
        for start in range(0, len(x), _ROW)
    ]
    values = np.concatenate(parts).astype(np.float32)
    values[~inside] = np.nan
    return values


def box_mean(profile: Floats, width: int) -> Floats:
    """Mean over `width` (odd) samples about each: float32, like `profile` [..., Q]; NaN spreads."""
    # Not a running sum, which would carry a NaN on to all that follow it.
    mean = np.full(width, 1 / width, np.float32)
    flat = profile.reshape(-1, profile.shape[-1])
    smooth = cv2.sepFilter2D(flat, -1, mean, np.ones(1, np.float32), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth, np.float32).reshape(profile.shape)


def shifted(profile: Floats, by: int) -> Floats:
    """profile[..., q + by], the ends repeated."""
    index = np.clip(np.arange(profile.shape[-1]) + by, 0, profile.shape[-1] - 1)
    return profile[..., index]


def peaks(score: Floats) -> tuple[NDArray[np.float64], Floats]:
    """Where each row of `score` [P, Q] is highest, in samples with a fraction (by a parabola), and how high: [P] each.

    Rows that are NaN throughout are highest at 0, by -inf.
    """
    filled = np.where(np.isnan(score), -np.inf, score)
    best = filled.argmax(axis=1)
    rows = np.arange(len(score))
    top = filled[rows, best]
    inner = np.clip(best, 1, score.shape[1] - 2)
    left, middle, right = filled[rows, inner - 1], filled[rows, inner], filled[rows, inner + 1]
    with np.errstate(invalid="ignore"):
        bend = left - 2 * middle + right
        shift = np.where((inner == best) & (bend < 0), 0.5 * (left - right) / np.where(bend < 0, bend, -1), 0.0)
    shift = np.where(np.isfinite(shift), np.clip(shift, -0.5, 0.5), 0.0)
    return best + shift.astype(np.float64), np.asarray(top, np.float32)
