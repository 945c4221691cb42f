"""Least squares that lets go of what does not fit: Tukey's biweight (Beaton and Tukey, 1974), reweighted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
_ROUNDS = 6
_TUKEY = 4.685


def solve(rows: NDArray[np.float64], wanted: Vector, weights: Vector, least_spread: float) -> tuple[Vector, Vector]:
    """x [N] so that rows [S, N] · x is about wanted [S]; and how much each row counted, [S], 0..weights.

    least_spread: residuals up to about this size count fully, however small the others are.
    """
    counted = weights
    solution: Vector = np.zeros(rows.shape[1])
    for _ in range(_ROUNDS):
        root = np.sqrt(counted)
        solution = np.asarray(np.linalg.lstsq(rows * root[:, None], wanted * root, rcond=None)[0], np.float64)
        residual = np.abs(wanted - rows @ solution)
        used = weights > 0
        spread = max(1.4826 * float(np.median(residual[used])) if used.any() else 0.0, least_spread)
        inner = np.clip(1 - (residual / (_TUKEY * spread)) ** 2, 0, None)
        counted = weights * inner * inner
    return solution, counted
