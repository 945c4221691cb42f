"""`make weights`: renders pictures, trains, exports, measures, and writes what the cards say. Killed, it goes on."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial

from demo.training.offline import prepare
from demo.training.recipes import RECIPES, RUNS, Recipe


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
    from demo.training.measure import measure
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
    card.update_card(recipe.card, files[1], measure(recipe, files[1], partial(_draw_bar, "measured")))
    for file in files:
        print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB, sha256 {card.sha256(file)}")


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
