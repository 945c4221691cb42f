"""How well the served inpainter removes strings from held-out quadrats, against OpenCV's own inpainting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reef import GRID_SHAPE, HELD_OUT_SEEDS, render
from demo.training.inpaint.pairs import pair_of, points_of
from demo.training.recipes import InpaintRecipe
from kelp.card import load_card
from predictors.lama.mask import grid_mask
from predictors.lama.model import LamaModel
from predictors.model import Item

SIZE = 1920
WIDTH_PX = 8.0
RADIUS_PX = 5.0
Image = NDArray[np.uint8]
_METHODS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}


def measure(recipe: InpaintRecipe, weights: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """PSNR on the masked pixels of cropped quadrats: over all of them together, in dB; frame and strings as the
    pipeline's crop leaves them, the mask from the true crossings."""
    model = served(recipe, weights)
    seeds = HELD_OUT_SEEDS[: recipe.measured_pictures]
    errors: dict[str, list[float]] = {"model": [], **{name: [] for name in _METHODS}}
    for done, seed in enumerate(seeds, start=1):
        given, wanted = pair_of(render(seed, SIZE, keep_frame=True), SIZE)
        for name, error in squares(model, given, wanted).items():
            errors[name].append(error)
        progress(done, len(seeds))
    psnr = {name: round(float(10 * np.log10(255**2 / np.mean(values))), 2) for name, values in errors.items()}
    print(f"\nPSNR on masked pixels: {psnr}")
    return {
        "data": f"synthetic reef, held-out seeds {seeds[0]} to {seeds[-1]}, cropped to {SIZE} x {SIZE}",
        "grid_line_width": WIDTH_PX,
        "psnr_masked_db": psnr["model"],
        "psnr_masked_cv2_telea_db": psnr["telea"],
        "psnr_masked_cv2_navier_stokes_db": psnr["navier_stokes"],
        "gain_over_cv2_inpaint_db": round(psnr["model"] - max(psnr[name] for name in _METHODS), 2),
    }


def served(recipe: InpaintRecipe, weights: Path) -> LamaModel:
    """The model as the card serves it, loaded from `weights`."""
    model = LamaModel(load_card(recipe.card), {"model": weights})
    model.load()
    return model


def squares(model: LamaModel, given: Image, wanted: Image) -> dict[str, float]:
    """Mean squared error on the masked pixels, by who filled them."""
    points = points_of(given.shape[0]).astype(np.float32)
    settings = {"grid_line_width": WIDTH_PX, "tile_px": 2048}
    item = Item(given, settings, frozenset({"image"}), {"grid_points": points})
    (filled,) = model.postprocess(model.predict(model.preprocess([item])), [item])
    mask = grid_mask(points, GRID_SHAPE, WIDTH_PX, given.shape[:2])
    answers = {"model": np.asarray(filled)}
    for name, method in _METHODS.items():
        answers[name] = np.asarray(cv2.inpaint(given, mask, RADIUS_PX, method))
    hole = mask != 0
    return {
        name: float(np.square(answer[hole].astype(float) - wanted[hole]).mean()) for name, answer in answers.items()
    }
