"""Points measured on the photograph itself, from where the model has seen them: frame edges, or strings."""

from predictors.grid.refine.frame import Corners, refine_corners
from predictors.grid.refine.strings import Refined, refine_grid

__all__ = ["Corners", "Refined", "refine_corners", "refine_grid"]
