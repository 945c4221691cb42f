"""Scenes on disk, and in memory at the sizes that the two networks train at."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef import TRAINING_SEEDS, VALIDATION_SEEDS, render
from demo.training.seen import seen

_PHOTOGRAPHED_PX = 768


class Pictures(NamedTuple):
    """N scenes. images: uint8 [N, side, side, 3] RGB; instances: uint8 [N, grid, grid], 0 background, i + 1 colony i;
    classes: uint8 [N, grid, grid], 0 background, genus + 1."""

    images: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    classes: NDArray[np.uint8]


def build(folder: Path, training: int, validation: int, workers: int) -> Iterator[tuple[int, int]]:
    """Renders what is missing: SEED.jpg and, written last, SEED.png (instances and genera). Yields (done, all)."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [*TRAINING_SEEDS[:training], *VALIDATION_SEEDS[:validation]]
    missing = [seed for seed in wanted if not (folder / f"{seed}.png").exists()]
    done = len(wanted) - len(missing)
    yield done, len(wanted)
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(partial(_write, folder), missing, chunksize=4):
            done += 1
            yield done, len(wanted)


def load(folder: Path, seeds: range, side: int, grid: int) -> Pictures:
    """The pictures of `seeds`, images at `side` pixels, truth at `grid`."""
    images, instances, classes = [], [], []
    for seed in seeds:
        image = cv2.imread(str(folder / f"{seed}.jpg"))
        truth = cv2.imread(str(folder / f"{seed}.png"))
        if image is None or truth is None:
            raise FileNotFoundError(f"{folder / str(seed)}.jpg and .png")
        images.append(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)[..., ::-1])
        small = cv2.resize(truth, (grid, grid), interpolation=cv2.INTER_NEAREST)
        instances.append(small[..., 0])
        classes.append(small[..., 1])
    return Pictures(np.stack(images).astype(np.uint8), np.stack(instances), np.stack(classes))


def _write(folder: Path, seed: int) -> None:
    cv2.setNumThreads(1)
    scene = render(seed, _PHOTOGRAPHED_PX)
    image, instances = seen(scene)
    genera = np.concatenate((np.zeros(1, np.uint8), scene.genus_ids.astype(np.uint8) + 1))
    truth = np.stack([instances.astype(np.uint8), genera[instances], np.zeros_like(instances, np.uint8)], axis=2)
    cv2.imwrite(str(folder / f"{seed}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    part = folder / f"{seed}.part.png"
    cv2.imwrite(str(part), truth)
    part.replace(folder / f"{seed}.png")
