"""How good trained weights are on quadrats nobody trained on: what a card's `quality` says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics import YOLO

from demo.reef import GENUS_NAMES, HELD_OUT_SEEDS, Scene, render
from demo.training.evaluate import Tally, box_overlaps, mask_figures, mask_overlaps, match, table
from demo.training.recipes import Recipe

CONF, IOU = 0.25, 0.5
_TOY = "for tests only"
Progress = Callable[[int, int], None]


def measure(recipe: Recipe, weights: Path, progress: Progress, size: int = 1920) -> dict[str, Any]:
    """Runs a .pt or .onnx file through ultralytics' own predict on held-out quadrats; returns the figures."""
    seeds = HELD_OUT_SEEDS[: recipe.measured_pictures]
    model = YOLO(weights, task=recipe.task)
    kind = {"segment": _segmenter, "detect": _detector, "pose": _pose}[recipe.task]
    figures = kind(recipe, model, (render(seed, size) for seed in seeds), lambda done: progress(done, len(seeds)))
    data = f"synthetic reef, held-out seeds {seeds[0]} to {seeds[-1]}, {size} x {size}, with grid"
    return {"data": data, "conf_threshold": CONF, "iou_threshold": IOU, **figures}


def _found(recipe: Recipe, model: YOLO, image: NDArray[np.uint8]) -> Any:
    # ultralytics takes arrays as BGR.
    picture = np.ascontiguousarray(image[..., ::-1])
    options = {"conf": CONF, "iou": IOU, "retina_masks": True, "device": "cpu", "verbose": False}
    return model.predict(picture, imgsz=recipe.imgsz, **options)[0]


def add_masks(tally: Tally, recipe: Recipe, model: YOLO, scene: Scene, image: NDArray[np.uint8]) -> None:
    """Segments one picture of a scene and adds it to the tally: colonies of the genera that the recipe labels count."""
    found = _found(recipe, model, image)
    masks = np.zeros((0, *image.shape[:2]), bool) if found.masks is None else found.masks.data.numpy() > 0.5
    overlaps = mask_overlaps(masks, scene.instances, len(scene))
    place = np.array([recipe.genera.index(name) if name in recipe.genera else -1 for name in GENUS_NAMES], np.int32)
    kinds = place[scene.genus_ids]
    labelled = kinds >= 0
    found_kinds = found.boxes.cls.numpy().astype(np.int32)
    match(tally, kinds[labelled], found_kinds, found.boxes.conf.numpy(), overlaps[:, labelled])


def _segmenter(recipe: Recipe, model: YOLO, scenes: Iterable[Scene], progress: Callable[[int], None]) -> dict[str, Any]:
    gridded, bare = Tally(), Tally()
    for done, scene in enumerate(scenes, start=1):
        add_masks(gridded, recipe, model, scene, scene.image)
        add_masks(bare, recipe, model, scene, scene.image_without_grid)
        progress(done)
    without = f"without the grid: F1 {bare.f1:.3f}, mean IoU {bare.mean_iou:.3f} of matches"
    print(f"\n{table(gridded, recipe.genera)}\n{without}")
    return mask_figures(gridded, bare)


def _detector(recipe: Recipe, model: YOLO, scenes: Iterable[Scene], progress: Callable[[int], None]) -> dict[str, Any]:
    tally = Tally()
    for done, scene in enumerate(scenes, start=1):
        boxes = _found(recipe, model, scene.image).boxes
        true = np.stack([scene.box(colony) for colony in range(len(scene))]).astype(float)
        overlaps = box_overlaps(boxes.xyxy.numpy().astype(float), true)
        match(tally, scene.genus_ids, boxes.cls.numpy().astype(np.int32), boxes.conf.numpy(), overlaps)
        progress(done)
    print(f"\n{table(tally)}")
    return {
        "note": _TOY,
        "colonies": int(tally.true.sum()),
        "box_f1_at_iou_0.5": round(tally.f1, 3),
    }


def _pose(recipe: Recipe, model: YOLO, scenes: Iterable[Scene], progress: Callable[[int], None]) -> dict[str, Any]:
    errors: list[float] = []
    missed = 0
    for done, scene in enumerate(scenes, start=1):
        found = _found(recipe, model, scene.image)
        progress(done)
        if not len(found.boxes):
            missed += 1
            continue
        # ultralytics counts pixels from their corner, the reef from their centre.
        best = found.keypoints.xy.numpy()[int(found.boxes.conf.argmax())] - 0.5
        errors += np.linalg.norm(best - scene.corners, axis=1).tolist()
    middle = float(np.median(errors)) if errors else float("nan")
    print(f"\nmedian error of a corner {middle:.1f} px, no quadrat found in {missed} pictures")
    return {
        "note": _TOY,
        "median_corner_error_px": round(middle, 1),
        "pictures_without_a_find": missed,
    }
