"""A synthetic reef: photograph-like quadrats with exact ground truth, deterministic by seed."""

from demo.reef.genera import GENERA, GENUS_NAMES, Genus
from demo.reef.quadrat import GRID_SHAPE, TEMPLATE_CORNERS, TEMPLATE_GRID, project
from demo.reef.scene import Scene, render
from demo.reef.seeds import DEMO_SEEDS, HELD_OUT_SEEDS, TRAINING_SEEDS, VALIDATION_SEEDS

__all__ = [
    "DEMO_SEEDS",
    "GENERA",
    "GENUS_NAMES",
    "GRID_SHAPE",
    "HELD_OUT_SEEDS",
    "TEMPLATE_CORNERS",
    "TEMPLATE_GRID",
    "TRAINING_SEEDS",
    "VALIDATION_SEEDS",
    "Genus",
    "Scene",
    "project",
    "render",
]
