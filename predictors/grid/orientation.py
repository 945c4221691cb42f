"""Which of a template's equal positions is point 0: as seen in the image, or as the model saw it by a mark."""

from __future__ import annotations

import numpy as np

from predictors.grid.homography import Matrix, jacobian
from predictors.grid.template import Symmetry, Template


def upright(template: Template, matrix: Matrix) -> Symmetry:
    """The template's symmetry that makes `matrix` (template → picture) turn least, and mirror nothing.

    With it, point 0 is the template's first point as seen in the image while a square quadrat is turned by less than
    45° (one that is like itself only upside down: less than 90°).
    """
    at = jacobian(matrix, template.centre)
    best, least = template.symmetries[0], np.inf
    for symmetry in template.symmetries:
        turned = at @ symmetry.linear
        # A mirrored reading is taken only where there is no other.
        cost = abs(_angle(turned)) + (10.0 if np.linalg.det(turned) < 0 else 0.0)
        if cost < least - 1e-9:
            best, least = symmetry, cost
    return best


def _angle(linear: Matrix) -> float:
    """The turn in a linear map, in radians: that of the rotation nearest to it."""
    return float(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
