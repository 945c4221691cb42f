"""`make weights`: renders pictures, trains, exports, measures, and writes what the cards say. Killed, it goes on."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from demo.training.offline import prepare
from demo.training.recipes import RECIPES, RUNS, Recipe

MEASURED_PICTURES = 48
MEASURED_PX = 1920


def main() -> int:
    """Trains the models named on the command line (all by default)."""
    parser = argparse.ArgumentParser(prog="python -m demo.training", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"one of: {', '.join(RECIPES)}; all by default")
    parser.add_argument("--measure-only", action="store_true", help="measure the weights that stand there")
    asked = parser.parse_args()
    unknown = [name for name in asked.models if name not in RECIPES]
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}; there are: {', '.join(RECIPES)}")
    RUNS.mkdir(parents=True, exist_ok=True)
    prepare(RUNS / "ultralytics")
    for name in asked.models or RECIPES:
        _make(RECIPES[name], asked.measure_only)
    return 0


def _make(recipe: Recipe, measure_only: bool) -> None:
    # ultralytics may only be imported once its settings are prepared.
    from demo.training import card
    from demo.training.dataset import build
    from demo.training.export import export
    from demo.training.train import train

    folder = RUNS / recipe.name
    files = (recipe.into / f"{recipe.name}.pt", recipe.into / f"{recipe.name}.onnx")
    if not measure_only:
        print(
            f"{recipe.name}: pictures, then {recipe.epochs} epochs of training; stop it at will, it goes on from there"
        )
        for _ in _bar("pictures", build(recipe, folder / "data", os.cpu_count() or 1)):
            pass
        files = export(recipe, train(recipe, folder / "data" / "data.yaml", folder), recipe.into)
        card.write_sums(recipe.into, [file for file in recipe.into.iterdir() if file.suffix in {".pt", ".onnx"}])
    if recipe.card is not None:
        card.update_card(recipe.card, files[1], _measure(recipe, files[1]))
    for file in files:
        print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB, sha256 {card.sha256(file)}")


def _measure(recipe: Recipe, weights: Path) -> dict[str, object]:
    from demo.reef import HELD_OUT_SEEDS
    from demo.training.evaluate import evaluate, table, ultralytics_segmenter

    seeds = HELD_OUT_SEEDS[:MEASURED_PICTURES]
    segmenter = ultralytics_segmenter(weights, recipe.imgsz)
    steps = enumerate(evaluate(segmenter, seeds, MEASURED_PX), start=1)
    for done, tallies in steps:
        gridded, bare = tallies
        _draw_bar("measured", done, len(seeds))
    print(f"\n{table(gridded)}\nWithout the grid: F1 {bare.f1:.3f}, mean IoU {bare.mean_iou:.3f} of matches")
    return {
        "data": f"synthetic reef, held-out seeds {seeds[0]} to {seeds[-1]}, {MEASURED_PX} x {MEASURED_PX}, with grid",
        "colonies": int(gridded.true.sum()),
        "conf_threshold": 0.25,
        "iou_threshold": 0.5,
        "mask_f1_at_iou_0.5": round(gridded.f1, 3),
        "precision": round(gridded.precision, 3),
        "recall": round(gridded.recall, 3),
        "mean_iou_of_matches": round(gridded.mean_iou, 3),
        "mean_iou_of_all_colonies": round(gridded.mean_iou_of_truth, 3),
        "mask_f1_at_iou_0.5_without_grid": round(bare.f1, 3),
    }


def _bar(name: str, steps: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for done, total in steps:
        _draw_bar(name, done, total)
        yield done, total
    print(file=sys.stderr)


def _draw_bar(name: str, done: int, total: int) -> None:
    full = 30 * done // max(total, 1)
    print(f"\r{name} {'#' * full}{'.' * (30 - full)} {done}/{total}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    started = time.monotonic()
    status = main()
    print(f"took {(time.monotonic() - started) / 60:.1f} min")
    sys.exit(status)
