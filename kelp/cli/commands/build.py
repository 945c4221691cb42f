"""`kelp build`: a habit of nuctl's that has nothing to do here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)

_TEXT = """\
Nothing is built: a model is a card and its weights, served by an image that all models of its kind share.
  another model, or new weights    kelp deploy CARD
  check a card first               kelp card check CARD
  an image with code of your own   images/build.sh, then its name in the chart's values (images, runtimes)
"""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def build(path: Annotated[Path | None, typer.Argument(help="not read")] = None) -> None:
    """Say what takes the place of nuctl's image build; nothing is built."""
    typer.echo(_TEXT, nl=False)
