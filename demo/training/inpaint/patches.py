"""Patches of cropped quadrats with strings, and the same without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from demo.reef import GRID_SHAPE, TEMPLATE_GRID, TRAINING_SEEDS
from demo.training.inpaint.pairs import Image, points_of
from demo.training.recipes import InpaintRecipe
from predictors.lama.mask import grid_mask

_LEAST_MASKED = 0.03
_ANY_LINES = 0.15
_WIDTHS = (5.0, 13.0)


class Patches(Dataset[tuple[Image, Image, Image]]):  # type: ignore[misc]
    """Item i: a patch with strings uint8 [P, P, 3], the same without, and what is to be filled uint8 [P, P]."""

    def __init__(self, recipe: InpaintRecipe, folder: Path) -> None:
        self._recipe = recipe
        self._files = [folder / f"{seed}.npy" for seed in TRAINING_SEEDS[: recipe.pictures]]

    def __len__(self) -> int:
        return self._recipe.steps * self._recipe.batch

    def __getitem__(self, number: int) -> tuple[Image, Image, Image]:
        rng = np.random.Generator(np.random.PCG64([TRAINING_SEEDS[1], number]))
        pair = np.load(self._files[int(rng.integers(len(self._files)))], mmap_mode="r")
        side, size = self._recipe.patch, pair.shape[1]
        width = float(rng.uniform(*_WIDTHS)) * size / 1920
        points = points_of(size) + rng.normal(0, 0.6, (1, 2)) + rng.normal(0, 0.3, (len(TEMPLATE_GRID), 2))
        anywhere = rng.uniform() < _ANY_LINES
        while True:
            top, left = (int(v) for v in rng.integers(0, size - side + 1, 2))
            if anywhere:
                mask = _lines(rng, side, max(width, 3.0))
            else:
                mask = grid_mask((points - (left, top)).astype(np.float32), GRID_SHAPE, width, (side, side))
            if mask.mean() >= _LEAST_MASKED:
                break
        window = np.s_[top : top + side, left : left + side]
        quarters, mirrored = int(rng.integers(4)), rng.uniform() < 0.5
        parts = (pair[1 if anywhere else 0][window], pair[1][window], mask)
        given, wanted, hole = (_laid(np.asarray(part), quarters, mirrored) for part in parts)
        return given, wanted, hole


def _laid(part: Image, quarters: int, mirrored: bool) -> Image:
    turned = np.rot90(part, quarters)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def _lines(rng: np.random.Generator, side: int, width: float) -> Image:
    mask = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        start, end = rng.uniform(-0.2 * side, 1.2 * side, (2, 2))
        thick = max(1, round(width))
        cv2.line(mask, tuple(np.rint(start).astype(int).tolist()), tuple(np.rint(end).astype(int).tolist()), 1, thick)
    return mask


def batches(recipe: InpaintRecipe, folder: Path, start: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """From step `start` on: with strings and without [N, 3, P, P], 0..1, and mask [N, 1, P, P]."""
    numbers = range(start * recipe.batch, recipe.steps * recipe.batch)
    loader = DataLoader(
        Patches(recipe, folder),
        recipe.batch,
        sampler=numbers,
        num_workers=1,
        multiprocessing_context="spawn",
        collate_fn=_together,
        prefetch_factor=4,
    )
    yield from loader


def _together(items: list[tuple[Image, Image, Image]]) -> tuple[Tensor, Tensor, Tensor]:
    given, wanted, mask = (np.stack(part) for part in zip(*items, strict=True))
    pictures = (
        torch.from_numpy(np.ascontiguousarray(part.transpose(0, 3, 1, 2))).float() / 255 for part in (given, wanted)
    )
    first, second = pictures
    return first, second, torch.from_numpy(mask[:, None].astype(np.float32))
