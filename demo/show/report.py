"""What the demo found: a table, a page with pictures, and what was not as it must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.reef import Scene
from demo.show.page import FrameView, write_page
from demo.show.pictures import draw_shapes, draw_truth, genus_colors, save_jpeg
from demo.show.score import FrameScore
from demo.show.stage import MODEL

PICTURE_WIDTH = 1100


@dataclass(frozen=True)
class Outcome:
    """What the demo found; `faults` empty means that all is well."""

    scores: dict[str, FrameScore]
    stored: int
    seconds: float
    cold_start_s: float
    faults: list[str]

    @property
    def mean_iou(self) -> float:
        return sum(score.iou for score in self.scores.values()) / len(self.scores)


def save_pictures(
    out: Path, stem: str, scene: Scene, shapes: Sequence[Mapping[str, Any]], genus_by_label: Mapping[int, str]
) -> None:
    """Before, after and truth of one frame, as JPEGs in `out`."""
    truth = draw_truth(scene.image, [(scene.mask(i), genus) for i, genus in enumerate(scene.genera)])
    save_jpeg(out / f"{stem}_before.jpg", scene.image, width=PICTURE_WIDTH)
    save_jpeg(out / f"{stem}_after.jpg", draw_shapes(scene.image, shapes, genus_by_label), width=PICTURE_WIDTH)
    save_jpeg(out / f"{stem}_truth.jpg", truth, width=PICTURE_WIDTH)


def report(outcome: Outcome, out: Path, links: Sequence[tuple[str, str]], console: Console) -> None:
    """Prints the table and writes the page."""
    table = Table(title="What the model wrote into CVAT, against the truth")
    for title in ("frame", "shapes", "colonies", "IoU"):
        table.add_column(title, justify="left" if title == "frame" else "right")
    views = []
    for stem, score in outcome.scores.items():
        table.add_row(stem, str(score.shapes), str(score.colonies), f"{score.iou:.2f}")
        before, after, truth = (f"{stem}_{what}.jpg" for what in ("before", "after", "truth"))
        views.append(FrameView(stem, before, after, truth, score.shapes, score.colonies, score.iou))
    table.add_section()
    colonies = sum(score.colonies for score in outcome.scores.values())
    table.add_row("all", str(outcome.stored), str(colonies), f"{outcome.mean_iou:.2f}")
    console.print(table)
    each = (outcome.seconds - outcome.cold_start_s) / len(outcome.scores)
    figures = [
        ("model", MODEL),
        ("frames", str(len(outcome.scores))),
        ("shapes in CVAT", str(outcome.stored)),
        ("mean IoU", f"{outcome.mean_iou:.2f}"),
        ("cold start", f"{outcome.cold_start_s:.1f} s"),
        ("a frame", f"{each * 1000:.0f} ms"),
        ("state change → shapes", f"{outcome.seconds:.1f} s"),
    ]
    console.print("   ".join(f"{name} [b]{value}[/]" for name, value in figures[4:]))
    write_page(out / "index.html", figures=figures, frames=views, colors=genus_colors(), links=links)
    console.print(f"pictures: {(out / 'index.html').as_uri()}")
