"""Where two strings cross, measured near the crossing itself: lenses bend what a homography leaves straight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.grid.homography import Matrix, warp
from predictors.grid.refine.lattice import Seen, Strings, seen_through
from predictors.grid.refine.profiles import peaks
from predictors.grid.refine.ridges import LEAST_RIDGE, Ridges

Points = NDArray[np.float64]
_NEAR = 0.85
"""How much of a string about a crossing is measured, in spacings."""
_LOOK = np.arange(-3.0, 4.0)
_LEAST_PLACES = 4
_ARMS = (1.6, 2.4, 3.2)
"""Where a crossing's arms are looked at, in widths of the ridge filter."""
_LEAST_BRIGHT = 0.65


def crossings(
    ridges: Ridges, lattice: Points, families: tuple[Strings, Strings], view: Matrix
) -> tuple[Points, NDArray[np.float64]]:
    """Crossings [K, 2] in pixels (centres at whole numbers); how much of each one's arms is to be seen [K], 0..1."""
    rows, columns = lattice.shape[:2]
    flat = lattice.reshape(-1, 2)
    along_rows, across_rows = _aside(ridges, families[0], view, columns)
    along_columns, across_columns = _aside(ridges, families[1], view, rows)
    normals = np.stack([along_rows.reshape(-1, 2), along_columns.transpose(1, 0, 2).reshape(-1, 2)], axis=1)
    away = np.stack([across_rows.ravel(), across_columns.T.ravel()], axis=1)
    at = warp(view, flat) + np.linalg.solve(normals, away[..., None])[..., 0]
    return at, _arms(ridges, at, normals)


def _aside(ridges: Ridges, family: Strings, view: Matrix, count: int) -> tuple[Points, NDArray[np.float64]]:
    """For each string and each of its `count` crossings its normal [M, count, 2], and how far it lies aside there."""
    strings, places = family.points.shape[:2]
    seen = seen_through(view, *(part.reshape(-1, 2) for part in (family.points, family.along, family.beside)))
    where, height = peaks(ridges.across(seen, _LOOK))
    good = ((height > LEAST_RIDGE) & (where > 0) & (where < len(_LOOK) - 1)).reshape(strings, places)
    aside = np.where(good, (_LOOK[0] + where).reshape(strings, places), 0.0)
    near = (np.abs(family.place[:, None] - np.arange(count)) <= _NEAR).astype(np.float64)
    seen_places = good.astype(np.float64) @ near
    mean = aside @ near / np.maximum(seen_places, 1)
    # With few places to go by, the homography of all strings knows better.
    mean[seen_places < _LEAST_PLACES] = 0.0
    normal = seen.normal.reshape(strings, places, 2)
    nearest = np.abs(family.place[:, None] - np.arange(count)).argmin(axis=0)
    return normal[:, nearest], mean


def _arms(ridges: Ridges, at: Points, normals: Points) -> NDArray[np.float64]:
    """The share of the places on a crossing's four arms at which a string is seen: float64 [K]."""
    places, across = [], []
    for string in (0, 1):
        normal = normals[:, string]
        along = np.column_stack([normal[:, 1], -normal[:, 0]])
        for distance in _ARMS:
            for side in (-1, 1):
                places.append(at + side * distance * ridges.width * along)
                across.append(normal)
    count = len(places)
    spots = np.concatenate(places)
    arms = Seen(spots, np.concatenate(across), np.ones(len(spots)))
    ridge = np.nan_to_num(ridges.across(arms, np.arange(-2.0, 3.0)), nan=-1.0).max(axis=1) > LEAST_RIDGE
    bright = np.nan_to_num(ridges.brightness(arms), nan=-1.0)
    # Textures have ridges too, but none as bright as the strings are.
    usual = float(np.median(bright[ridge])) if ridge.any() else 0.0
    seen = ridge & (bright >= _LEAST_BRIGHT * usual)
    return np.asarray(seen.reshape(count, -1).mean(axis=0), np.float64)
