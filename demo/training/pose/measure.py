"""How exactly the served pose models place a quadrat's points on held-out pictures, with refinement and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.reef import HELD_OUT_SEEDS, project, render
from demo.training.pose.views import POINTS
from demo.training.recipes import PoseRecipe
from kelp.card import load_card
from kelp.geometry.quadrat import crop_quadrat
from predictors.grid.model import GridModel
from predictors.model import Item

SIZE = 1920
HIDDEN = 0.1
_CONF = 0.25
_CROP_ERROR_PX = 1.5
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A picture, the places of its points [K, 2] (half-open), and which of them are hidden [K]."""

    image: NDArray[np.uint8]
    points: Points
    hidden: NDArray[np.bool_]


@dataclass
class Errors:
    """Distances of points from their places over pictures, in pixels; in_slot: whether the nearest place was theirs."""

    distances: list[float] = field(default_factory=list)
    hidden: list[float] = field(default_factory=list)
    in_slot: list[bool] = field(default_factory=list)
    told_hidden: list[bool] = field(default_factory=list)
    told_seen: list[bool] = field(default_factory=list)
    missed: int = 0

    def add(self, found: NDArray[np.float32] | None, case: Case) -> None:
        """found: float32 [K, 3], x y visibility, or None where no quadrat was found."""
        if found is None:
            self.missed += 1
            self.in_slot += [False] * len(case.points)
            return
        apart = np.linalg.norm(found[:, None, :2] - case.points[None], axis=2)
        self.in_slot += (apart.argmin(axis=1) == np.arange(len(apart))).tolist()
        own = np.diag(apart)
        self.distances += own[~case.hidden].tolist()
        self.hidden += own[case.hidden].tolist()
        seen = found[:, 2] >= 0.5
        self.told_seen += seen[~case.hidden].tolist()
        self.told_hidden += (~seen[case.hidden]).tolist()

    def figures(self) -> dict[str, float]:
        every = np.array(self.distances + self.hidden)
        return {
            "median_error_px": _rounded(np.median(every)),
            "error_px_95_percent": _rounded(np.percentile(every, 95)),
            "in_right_slot": round(float(np.mean(self.in_slot)), 4),
        }


def measure(recipe: PoseRecipe, weights: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Errors at 1920 × 1920: of corners on photographs at any turn; of crossings on those and on crops, a tenth of them
    hidden."""
    seeds = HELD_OUT_SEEDS[: recipe.measured_pictures]
    model = served(recipe, weights)
    groups: dict[str, Errors] = {}
    for done, seed in enumerate(seeds, start=1):
        for kind, case in cases(recipe, seed):
            for refine in (True, False):
                errors = groups.setdefault(f"{kind}{'' if refine else '_without_refinement'}", Errors())
                errors.add(best(model, case.image, refine), case)
        progress(done, len(seeds))
    hidden = f", {HIDDEN:.0%} of the crossings hidden" if recipe.points != 4 else ""
    figures: dict[str, Any] = {
        "data": f"synthetic reef, held-out seeds {seeds[0]} to {seeds[-1]}, {SIZE} x {SIZE}, at any turn{hidden}",
        "conf_threshold": _CONF,
    }
    for name, errors in groups.items():
        figures[name] = errors.figures()
        if errors.missed:
            figures[name]["pictures_without_a_find"] = errors.missed
        if recipe.points != 4 and not name.endswith("refinement"):
            figures[name]["hidden_median_error_px"] = _rounded(np.median(errors.hidden))
            figures[name]["hidden_points_told"] = _rounded(np.mean(errors.told_hidden))
            figures[name]["seen_points_told"] = _rounded(np.mean(errors.told_seen))
    print("\n" + "\n".join(f"{name}: {value}" for name, value in figures.items()))
    return figures


def cases(recipe: PoseRecipe, seed: int, size: int = SIZE) -> Iterator[tuple[str, Case]]:
    """The pictures of a held-out seed: the photograph, and of the crossings also a crop with corners a little off."""
    rng = np.random.Generator(np.random.PCG64(seed))
    turn = float(rng.uniform(0, 360))
    if recipe.points == 4:
        scene = render(seed, size, turn=turn)
        yield "photographs", Case(scene.image, scene.corners + 0.5, np.zeros(4, bool))
        return
    scene = render(seed, size, turn=turn, hidden=HIDDEN)
    yield "photographs", Case(scene.image, scene.grid_points + 0.5, scene.hidden)
    corners = scene.corners + 0.5 + rng.normal(0, _CROP_ERROR_PX, (4, 2))
    image = crop_quadrat(scene.image, corners, size)
    yield "crops", Case(image, _cropped(corners, scene.homography, template_of(recipe), size), scene.hidden)


def template_of(recipe: PoseRecipe) -> Points:
    """The recipe's points [K, 2] in the unit square of the quadrat's opening."""
    return POINTS[recipe.first : recipe.first + recipe.points]


def _cropped(corners: Points, homography: Points, template: Points, size: int) -> Points:
    """Where the template's points lie in a crop by `corners` (half-open)."""
    import cv2

    square = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
    crop = cv2.getPerspectiveTransform(corners.astype(np.float32), square).astype(np.float64)
    return project(crop, project(homography, template) + 0.5)


def served(recipe: PoseRecipe, weights: Path) -> GridModel:
    """The model as the card serves it, loaded from `weights`."""
    model = GridModel(load_card(recipe.card), {"model": weights, "template": recipe.into / recipe.template})
    model.load()
    return model


def best(model: GridModel, image: NDArray[np.uint8], refine: bool) -> NDArray[np.float32] | None:
    """The points [K, 3] of the surest quadrat of a picture; None where there is none."""
    settings = {
        "conf_threshold": _CONF, "iou_threshold": 0.5, "max_detections": 1, "use_template_matching": True,
        "refine": refine,
    }  # fmt: skip
    items = [Item(image, settings, frozenset({"keypoints"}))]
    (found,) = model.postprocess(model.predict(model.preprocess(items)), items)
    return found.keypoints[0] if found.keypoints is not None and len(found) else None


def _rounded(value: Any) -> float:
    return round(float(value), 3)
