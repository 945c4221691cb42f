"""Batches of drawn quadrats, the same for the same numbers: a training that was killed goes on with the next ones."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from demo.reef import TRAINING_SEEDS, render
from demo.training.pictures import read_rgb
from demo.training.pose.views import Sample, sample
from demo.training.recipes import QuadratTraining

GROUND_PX = 640
_WORKERS = 1
Batch = dict[str, torch.Tensor]


def build_grounds(folder: Path, count: int, workers: int) -> Iterator[tuple[int, int]]:
    """Renders what is missing of `count` bare pictures into `folder`; yields (done, all)."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in TRAINING_SEEDS[:count] if not (folder / f"{seed}.png").exists()]
    done = count - len(missing)
    yield done, count
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(partial(_render, folder), missing):
            done += 1
            yield done, count


def _render(folder: Path, seed: int) -> None:
    file = folder / f"{seed}.png"
    part = file.with_name(f".{seed}.part.png")
    cv2.imwrite(str(part), render(seed, GROUND_PX, grid=False).image[..., ::-1])
    part.replace(file)


class Quadrats(Dataset[Sample]):  # type: ignore[misc]
    """Item i is the sample that number i gives, from one of the bare pictures."""

    def __init__(self, recipe: QuadratTraining, folder: Path) -> None:
        self._recipe = recipe
        self._files = sorted(folder.glob("[0-9]*.png"))[: recipe.grounds]

    def __len__(self) -> int:
        return self._recipe.steps * self._recipe.batch

    def __getitem__(self, number: int) -> Sample:
        rng = np.random.Generator(np.random.PCG64([TRAINING_SEEDS[0], number]))
        ground = _ground(self._files[int(rng.integers(len(self._files)))])
        return sample(rng, ground, self._recipe.imgsz, self._recipe.crops)


@lru_cache(maxsize=256)
def _ground(file: Path) -> NDArray[np.uint8]:
    return read_rgb(file)


def batches(recipe: QuadratTraining, folder: Path, start: int) -> Iterator[Batch]:
    """From step `start` on, in ultralytics' form: keypoints [N, 121, 3] with 2 where seen, 1 where hidden."""
    numbers = range(start * recipe.batch, recipe.steps * recipe.batch)
    loader = DataLoader(
        Quadrats(recipe, folder),
        batch_size=recipe.batch,
        sampler=numbers,
        num_workers=_WORKERS,
        # A forked worker would wait for threads of OpenCV that only its parent has.
        multiprocessing_context="spawn",
        collate_fn=_together,
        worker_init_fn=_one_thread,
        prefetch_factor=3,
    )
    yield from loader


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)


def _together(samples: list[Sample]) -> Batch:
    points = np.stack([one.points for one in samples])
    visible = np.stack([one.seen for one in samples]).astype(np.float64) + 1
    low, high = np.clip(points.min(axis=1), 0, 1), np.clip(points.max(axis=1), 0, 1)
    images = np.stack([one.image for one in samples]).transpose(0, 3, 1, 2)
    return {
        "img": torch.from_numpy(np.ascontiguousarray(images)),
        "cls": torch.zeros(len(samples), 1),
        "bboxes": torch.from_numpy(np.concatenate([(low + high) / 2, high - low], axis=1)).float(),
        "keypoints": torch.from_numpy(np.concatenate([points, visible[..., None]], axis=2)).float(),
        "batch_idx": torch.arange(len(samples)).float(),
    }
