"""`kelp bridge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kelp.cli.programs import become

app = typer.Typer(rich_markup_mode=None)


@app.command()
def bridge(
    settings: Annotated[Path | None, typer.Option(help="file of KELP_…=value lines; the environment wins")] = None,
) -> None:
    """Run the bridge alone: CVAT's webhooks in, annotations out. Its settings are KELP_… variables."""
    if settings is not None:
        from kelp.local.settings import load_settings_file

        load_settings_file(settings)
    become("bridge", [], extra="bridge")
