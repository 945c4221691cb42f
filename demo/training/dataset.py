"""Pictures of the reef on disk, in the form ultralytics trains on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from demo.reef import GENUS_NAMES, TRAINING_SEEDS, VALIDATION_SEEDS, Scene, render
from demo.training.recipes import Recipe
from demo.training.seen import seen

_Image = NDArray[np.uint8]


def build(recipe: Recipe, folder: Path, workers: int, lender: Path | None = None) -> Iterator[tuple[int, int]]:
    """Renders what is missing of a recipe's pictures into `folder`; yields (done, all).

    Makes images/{train,val}/SEED.jpg, labels/{train,val}/SEED.txt and data.yaml. A picture's label is written last, so
    a picture that has one is whole. lender: such a folder of a recipe that labels all genera and renders the same
    pictures: those that it has are not rendered again.
    """
    wanted = [("train", seed) for seed in TRAINING_SEEDS[: recipe.pictures]]
    wanted += [("val", seed) for seed in VALIDATION_SEEDS[: recipe.validation_pictures]]
    for split in ("train", "val"):
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
    _write_description(recipe, folder)
    missing = [item for item in wanted if not (folder / "labels" / item[0] / f"{item[1]}.txt").exists()]
    done = len(wanted) - len(missing)
    yield done, len(wanted)
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(partial(_write, recipe, folder, lender), missing, chunksize=4):
            done += 1
            yield done, len(wanted)


def _write_description(recipe: Recipe, folder: Path) -> None:
    names = ["quadrat"] if recipe.task == "pose" else list(recipe.genera)
    description: dict[str, object] = {"path": str(folder), "train": "images/train", "val": "images/val", "names": names}
    if recipe.task == "pose":
        description |= {"kpt_shape": [4, 3], "flip_idx": [0, 1, 2, 3]}
    # JSON is YAML, and keeps numbers as they are; ultralytics wants the ending.
    (folder / "data.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(description))))


def _write(recipe: Recipe, folder: Path, lender: Path | None, item: tuple[str, int]) -> None:
    split, seed = item
    label = folder / "labels" / split / f"{seed}.txt"
    image = folder / "images" / split / f"{seed}.jpg"
    if lender is not None and (lender / "labels" / split / label.name).exists():
        image.unlink(missing_ok=True)
        os.link(lender / "images" / split / image.name, image)
        lines = (lender / "labels" / split / label.name).read_text().splitlines()
    else:
        lines = _rendered(recipe, seed, image)
    label.with_suffix(".part").write_text("\n".join(_labelled(recipe, lines)))
    label.with_suffix(".part").replace(label)


def _rendered(recipe: Recipe, seed: int, file: Path) -> list[str]:
    """Renders and writes one picture; its label lines, by the number of the genus."""
    sizes = recipe.photographed_px
    scene = render(seed, sizes[seed // 8 % len(sizes)])
    image, instances = (scene.image, scene.instances) if recipe.task == "pose" else seen(scene)
    # Linear, as ultralytics and Kelp shrink what they are sent: fine textures turn into the same patterns.
    small = cv2.resize(image, (recipe.imgsz, recipe.imgsz), interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(file), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return {"segment": _polygons, "detect": _boxes, "pose": _corners}[recipe.task](scene, instances)


def _labelled(recipe: Recipe, lines: list[str]) -> list[str]:
    """The lines of the genera that the recipe labels, by their place among those."""
    if recipe.task == "pose":
        return lines
    place = {str(GENUS_NAMES.index(name)): str(number) for number, name in enumerate(recipe.genera)}
    parts = (line.split(" ", 1) for line in lines)
    return [f"{place[kind]} {rest}" for kind, rest in parts if kind in place]


def _outlines(instances: NDArray[np.int32], count: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Colony number and its largest outer contour in parts of the picture's side, float64 [V, 2]."""
    size = instances.shape[0]
    for colony in range(count):
        contours, _ = cv2.findContours(
            (instances == colony + 1).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        if not contours:
            continue
        largest = max(contours, key=cv2.contourArea)
        # What a crop has cut to a sliver tells nothing about its genus.
        if cv2.contourArea(largest) < 2e-4 * size * size:
            continue
        points = cv2.approxPolyDP(largest, size / 1000, True)[:, 0].astype(np.float64)
        if len(points) >= 3:
            yield colony, (points + 0.5) / size


def _polygons(scene: Scene, instances: NDArray[np.int32]) -> list[str]:
    return [_line(scene.genus_ids[colony], points.ravel()) for colony, points in _outlines(instances, len(scene))]


def _boxes(scene: Scene, instances: NDArray[np.int32]) -> list[str]:
    lines = []
    for colony, points in _outlines(instances, len(scene)):
        low, high = points.min(axis=0), points.max(axis=0)
        lines.append(_line(scene.genus_ids[colony], [*((low + high) / 2), *(high - low)]))
    return lines


def _corners(scene: Scene, instances: NDArray[np.int32]) -> list[str]:
    size = instances.shape[0]
    corners = np.clip((scene.corners + 0.5) / size, 0, 1)
    low, high = corners.min(axis=0), corners.max(axis=0)
    points = np.column_stack([corners, np.full(4, 2.0)])
    return [_line(0, [*((low + high) / 2), *(high - low), *points.ravel()])]


def _line(kind: int, numbers: Sequence[float] | NDArray[np.float64]) -> str:
    return " ".join([str(int(kind)), *(f"{number:.5f}" for number in numbers)])
