"""`kelp up`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def up(
    models: Annotated[Path | None, typer.Option(help="folder of model cards (KELP_MODELS)")] = None,
    settings: Annotated[Path | None, typer.Option(help="file of KELP_…=value lines; the environment wins")] = None,
    budget: Annotated[
        str | None, typer.Option(help="what running models may hold: 12Gi, gpus=2, memory=12Gi,gpus=2 (KELP_BUDGET)")
    ] = None,
    host: Annotated[str | None, typer.Option(help="address to listen on (KELP_V2_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="V2 REST, 0 for any free port (KELP_V2_PORT)")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="V2 gRPC (KELP_V2_GRPC_PORT)")] = None,
    bridge: Annotated[bool, typer.Option(help="start the bridge too")] = True,
) -> None:
    """Run all models of this machine behind one V2 endpoint, and the bridge beside them.

    A model starts on its first request and stops after its idle time. Ctrl-C ends everything.
    """
    from kelp.local.settings import UpSettings, load_settings_file

    if settings is not None:
        load_settings_file(settings)
    if sys.stderr.isatty():
        os.environ.setdefault("KELP_LOG_FORMAT", "text")
    given = {
        "models": models, "budget": budget, "v2_host": host, "v2_port": port, "v2_grpc_port": grpc_port,
    }  # fmt: skip
    read = UpSettings.read(**{name: value for name, value in given.items() if value is not None})
    from kelp.local.up import run

    run(read, with_bridge=bridge)
