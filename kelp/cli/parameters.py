"""What a model is told for one command: `--set name=value`, and what an inpainter is to remove."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kelp.cli.exits import UsageError

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="a setting of the model, such as conf_threshold")
]

MaskOption = Annotated[
    Path | None,
    typer.Option(help="of an inpainter: a picture, not black where to fill, or a folder with one of each image's name"),
]
PointsOption = Annotated[
    Path | None,
    typer.Option(help="of an inpainter: JSON with the grid's points, or what `kelp infer -o json` printed of a pose"),
]


def parse_set(given: Sequence[str] | None) -> dict[str, bool | int | float | str]:
    """Values as booleans or numbers where they read as such; the model's server checks names and ranges."""
    found: dict[str, bool | int | float | str] = {}
    for entry in given or ():
        name, equals, value = entry.partition("=")
        if not (equals and name):
            raise UsageError(f"--set {entry}: expected NAME=VALUE")
        found[name.strip()] = _value(value.strip())
    return found


def _value(text: str) -> bool | int | float | str:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
