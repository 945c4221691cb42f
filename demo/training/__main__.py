"""`make weights`: renders pictures, trains, exports, measures, and writes what the cards say. Killed, it goes on."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from demo.training.offline import prepare
from demo.training.recipes import RECIPES, RUNS, AnyRecipe, InpaintRecipe, PoseRecipe, Recipe

CORALSCOP = "pth-mmseg-coralscopsegformer"
"""Two networks of other libraries: `demo.training.coralscop` makes them."""
Steps = Iterable[tuple[int, int] | tuple[int, int, str]]


def main() -> int:
    """Trains the models named on the command line (all by default)."""
    known = [*RECIPES, CORALSCOP]
    parser = argparse.ArgumentParser(prog="python -m demo.training", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"one of: {', '.join(known)}; all by default")
    parser.add_argument("--measure-only", action="store_true", help="measure the weights that stand there")
    asked = parser.parse_args()
    unknown = [name for name in asked.models if name not in known]
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}; there are: {', '.join(known)}")
    RUNS.mkdir(parents=True, exist_ok=True)
    prepare(RUNS / "ultralytics")
    for name in asked.models or known:
        if name == CORALSCOP:
            from demo.training.coralscop.make import make

            make(_draw_bar, asked.measure_only)
        else:
            _make(RECIPES[name], asked.measure_only)
    return 0


def _make(recipe: AnyRecipe, measure_only: bool) -> None:
    # ultralytics may only be imported once its settings are prepared.
    from demo.training import card

    files = _files(recipe)
    if not measure_only:
        print(f"{recipe.name}: pictures, then training; stop it at will, it goes on from there")
        _trained(recipe, os.cpu_count() or 1)
        card.write_sums(recipe.into)
    told = partial(_draw_bar, "measured")
    named = [files[1]]
    if isinstance(recipe, PoseRecipe):
        from demo.training.pose.measure import measure as measure_pose

        named.append(recipe.into / recipe.template)
        quality = measure_pose(recipe, files[1], told)
    elif isinstance(recipe, InpaintRecipe):
        from demo.training.inpaint.measure import measure as measure_inpainter

        quality = measure_inpainter(recipe, files[1], told)
    else:
        from demo.training.measure import measure

        quality = measure(recipe, files[1], told)
    card.update_card(recipe.card, named, quality)
    for file in files:
        print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB, sha256 {card.sha256(file)}")


def _files(recipe: AnyRecipe) -> tuple[Path, Path]:
    """The finished files: .pt, which keeps everything, and .onnx, which the card serves."""
    return recipe.into / f"{recipe.name}.pt", recipe.into / f"{recipe.name}.onnx"


def _trained(recipe: AnyRecipe, workers: int) -> None:
    """Renders, trains and exports, from where the last run was stopped."""
    folder = RUNS / recipe.name
    if isinstance(recipe, PoseRecipe):
        _train_pose(recipe, folder, workers)
    elif isinstance(recipe, InpaintRecipe):
        _train_inpainter(recipe, folder, workers)
    else:
        _train_yolo(recipe, folder, workers)


def _train_yolo(recipe: Recipe, folder: Path, workers: int) -> None:
    from demo.training.dataset import build
    from demo.training.export import export
    from demo.training.train import train

    lender = RUNS / "pth-yolo-coralsegv4" / "data" if recipe.begin_with is not None else None
    _shown("pictures", build(recipe, folder / "data", workers, lender))
    export(recipe, train(recipe, folder / "data" / "data.yaml", folder), recipe.into)


def _train_pose(recipe: PoseRecipe, folder: Path, workers: int) -> None:
    import numpy as np

    from demo.training.export import export
    from demo.training.pose.batches import build_grounds
    from demo.training.pose.fit import checkpoint_of, cut, fit
    from demo.training.pose.measure import template_of

    run = RUNS / recipe.training.name
    _shown("pictures", build_grounds(run / "grounds", recipe.training.grounds, workers))
    _shown("steps", fit(recipe.training, run / "grounds", run))
    np.save(recipe.into / recipe.template, template_of(recipe))
    folder.mkdir(parents=True, exist_ok=True)
    export(recipe, cut(recipe, checkpoint_of(run), folder / "cut.pt"), recipe.into)


def _train_inpainter(recipe: InpaintRecipe, folder: Path, workers: int) -> None:
    from demo.training.inpaint.export import export
    from demo.training.inpaint.fit import fit, weights_of
    from demo.training.inpaint.pairs import build_pairs

    _shown("pictures", build_pairs(recipe, folder / "pairs", workers))
    _shown("steps", fit(recipe, folder / "pairs", folder))
    export(recipe, weights_of(folder), recipe.into)


def _shown(name: str, steps: Steps) -> None:
    for done, total, *told in steps:
        _draw_bar(name, done, total, *told)
    print(file=sys.stderr)


def _draw_bar(name: str, done: int, total: int, told: str = "") -> None:
    full = 30 * done // max(total, 1)
    print(f"\r{name} {'#' * full}{'.' * (30 - full)} {done}/{total} {told}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    started = time.monotonic()
    status = main()
    print(f"took {(time.monotonic() - started) / 60:.1f} min")
    sys.exit(status)
