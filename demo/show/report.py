"""What the demo found: a table of the stages, and the page with their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.show.chain import Quadrat, Stage
from demo.show.page import write_page
from demo.show.pictures import Colors

COLUMNS = ("stage", "model", "against the truth", "floor", "time", "cold start")


@dataclass(frozen=True)
class Outcome:
    """What the demo found; cold_starts: model → seconds; `faults` empty means that all is well."""

    stages: Sequence[Stage]
    quadrats: Sequence[Quadrat]
    cold_starts: Mapping[str, float]
    seconds: float
    faults: Sequence[str]

    def rows(self) -> list[tuple[str, ...]]:
        """The table, a row a stage, in the order of `COLUMNS`."""
        return [
            (
                stage.name, stage.model, stage.error or "–", stage.floor or "–", f"{stage.seconds:.1f} s",
                f"{self.cold_starts[stage.model]:.1f} s" if stage.model in self.cold_starts else "–",
            )
            for stage in self.stages
        ]  # fmt: skip


def report(outcome: Outcome, colors: Colors, out: Path, links: Sequence[tuple[str, str]], console: Console) -> None:
    """Prints the table and writes the page."""
    table = Table(title="What CVAT holds after each stage, against the truth")
    for title in COLUMNS:
        table.add_column(title)
    for row, stage in zip(outcome.rows(), outcome.stages, strict=True):
        table.add_row(*row, style=None if stage.good else "red")
    console.print(table)
    console.print(
        f"{len(outcome.quadrats)} photographs, from their upload to annotated corals in [b]{outcome.seconds:.1f} s[/]"
    )
    write_page(
        out / "index.html", seconds=outcome.seconds, head=COLUMNS, rows=outcome.rows(), quadrats=outcome.quadrats,
        colors=colors, links=links,
    )  # fmt: skip
    console.print(f"pictures: {(out / 'index.html').as_uri()}")
