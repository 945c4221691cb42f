"""Cropped quadrats with strings, and the same without."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.reef import TEMPLATE_GRID, TRAINING_SEEDS, Scene, render
from demo.training.recipes import InpaintRecipe
from kelp.geometry.quadrat import crop_quadrat

_SIZES = (1920, 1920, 1344)
_PHOTOGRAPHED_PX = 1920

Image = NDArray[np.uint8]


def build_pairs(recipe: InpaintRecipe, folder: Path, workers: int) -> Iterator[tuple[int, int]]:
    """Renders what is missing of a recipe's quadrats into `folder`, SEED.npy uint8 [2, S, S, 3]; yields (done, all)."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in TRAINING_SEEDS[: recipe.pictures] if not (folder / f"{seed}.npy").exists()]
    done = recipe.pictures - len(missing)
    yield done, recipe.pictures
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(partial(_write, folder), missing):
            done += 1
            yield done, recipe.pictures


def pair_of(scene: Scene, size: int) -> tuple[Image, Image]:
    """The opening of a scene that was rendered with `keep_frame`, as a square: with strings, without."""
    corners = scene.corners + 0.5
    return crop_quadrat(scene.image, corners, size), crop_quadrat(scene.image_without_grid, corners, size)


def points_of(size: int) -> NDArray[np.float64]:
    """The crossings of a cropped quadrat: float64 [117, 2], in pixels, half-open."""
    return np.asarray(TEMPLATE_GRID * size)


def _write(folder: Path, seed: int) -> None:
    pair = np.stack(pair_of(render(seed, _PHOTOGRAPHED_PX, keep_frame=True), _SIZES[seed % len(_SIZES)]))
    part = folder / f".{seed}.part.npy"
    np.save(part, pair)
    part.replace(folder / f"{seed}.npy")
