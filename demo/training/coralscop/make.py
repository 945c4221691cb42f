"""`make weights` for `pth-mmseg-coralscopsegformer`: pictures, two trainings, files, and what the card says of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.reef import HELD_OUT_SEEDS, TRAINING_SEEDS, VALIDATION_SEEDS, Scene, render
from demo.training import card
from demo.training.coralscop import pictures, sam, segformer
from demo.training.coralscop.loop import Plan
from demo.training.evaluate import Tally, mask_figures, mask_overlaps, match, table
from demo.training.recipes import CARDS, RUNS, WEIGHTS
from kelp.card import load_card
from kelp.settings.model import effective_settings, settings_of
from predictors.coralscop.model import ROLES, CoralscopModel
from predictors.model import Item

NAME = "pth-mmseg-coralscopsegformer"
FOLDER = WEIGHTS / NAME
CARD = CARDS / f"{NAME}.yaml"
CONFIG, SEGFORMER, SAM = FILES = tuple(FOLDER / name for name in ("config.py", "best_mIoU.pth", "vit_coralscop.pth"))
TRAINING_PICTURES, VALIDATION_PICTURES, MEASURED_PICTURES = 320, 12, 12
SEGFORMER_PLAN = Plan(steps=1400, batch=8, rate=1.2e-3)
SAM_PLAN = Plan(steps=1200, batch=8, rate=1.5e-3)
_MEASURED_PX = 1920
Bar = Callable[[str, int, int], None]


def make(bar: Bar, measure_only: bool = False) -> None:
    """Trains what is not trained yet, writes the files and the card's sha256 and quality. bar: name, done, all."""
    if not measure_only:
        folder = RUNS / NAME
        for done, total in pictures.build(
            folder / "pictures", TRAINING_PICTURES, VALIDATION_PICTURES, os.cpu_count() or 1
        ):
            bar("pictures", done, total)
        _make_segformer(bar)
        _make_sam(bar)
        card.write_sums(WEIGHTS)
    # Twice: the config is only run under the sha256 that stands in the card.
    card.update_card(CARD, FILES, load_card(CARD).quality)
    card.update_card(CARD, FILES, measure(lambda done: bar("measured", done, MEASURED_PICTURES)))


def measure(progress: Callable[[int], None], pictures_measured: int = MEASURED_PICTURES) -> dict[str, Any]:
    """The card's model on quadrats nobody trained on, with the card's own settings."""
    described = load_card(CARD)
    model = CoralscopModel(described, dict(zip(ROLES, FILES, strict=True)))
    model.load()
    settings = effective_settings(settings_of(described.task, model.own_settings), described.settings, {})
    seeds = HELD_OUT_SEEDS[:pictures_measured]
    gridded, bare = Tally(), Tally()
    for done, seed in enumerate(seeds, start=1):
        scene = render(seed, _MEASURED_PX)
        _add(gridded, model, scene, scene.image, settings)
        _add(bare, model, scene, scene.image_without_grid, settings)
        progress(done)
    print(f"\n{table(gridded)}\nwithout the grid: F1 {bare.f1:.3f}, mean IoU {bare.mean_iou:.3f} of matches")
    return {
        "data": f"synthetic reef, held-out seeds {seeds[0]} to {seeds[-1]}, {_MEASURED_PX} x {_MEASURED_PX}, with grid",
        "conf_threshold": settings["conf_threshold"],
        "points_per_side": settings["points_per_side"],
        **mask_figures(gridded, bare),
    }


def _add(tally: Tally, model: CoralscopModel, scene: Scene, image: NDArray[np.uint8], settings: dict[str, Any]) -> None:
    items = [Item(image, settings, frozenset({"mask_rle"}))]
    (found,) = model.postprocess(model.predict(model.preprocess(items)), items)
    masks = np.zeros((0, *image.shape[:2]), bool) if found.masks is None else found.masks.masks()
    match(tally, scene.genus_ids, found.label_id, found.score, mask_overlaps(masks, scene.instances, len(scene)))


def _make_segformer(bar: Bar) -> None:
    folder = RUNS / NAME
    training = _load(TRAINING_SEEDS[:TRAINING_PICTURES], segformer.SIDE, segformer.GRID)
    model = segformer.train_segformer(
        CONFIG, training, SEGFORMER_PLAN, folder / "segformer.kept", lambda *told: _tell(bar, "segformer", *told)
    )
    segformer.save_segformer(model, SEGFORMER)
    validation = _load(VALIDATION_SEEDS[:VALIDATION_PICTURES], segformer.SIDE, segformer.GRID)
    print(f"\nsegformer: {segformer.pixel_accuracy(model, validation):.3f} of the colonies' pixels have their genus")


def _make_sam(bar: Bar) -> None:
    training = _load(TRAINING_SEEDS[:TRAINING_PICTURES], sam.SIDE, sam.GRID)
    model = sam.train_sam(training, SAM_PLAN, RUNS / NAME / "sam.kept", lambda *told: _tell(bar, "sam", *told))
    sam.save_sam(model, SAM)


def _load(seeds: range, side: int, grid: int) -> pictures.Pictures:
    return pictures.load(RUNS / NAME / "pictures", seeds, side, grid)


def _tell(bar: Bar, name: str, step: int, steps: int, loss: float) -> None:
    bar(f"{name}, loss {loss:.3f}", step, steps)
