"""`kelp serve CARD`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from kelp.cli.programs import become

app = typer.Typer(rich_markup_mode=None)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    ctx: typer.Context,
    card: Annotated[Path, typer.Argument(help="the model's card, a YAML file")],
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="V2 REST, 0 for any free port")] = 8080,
    grpc_port: Annotated[int, typer.Option(help="V2 gRPC")] = 8081,
) -> None:
    """Run one model's predictor alone. What else is given goes to it (python -m predictors.serving --help)."""
    from kelp.card import load_card
    from kelp.weights import default_cache, is_cached

    cache = default_cache()
    described = load_card(card)
    if sys.stderr.isatty() and not is_cached(described, cache):
        from kelp.cli.progress import fetch_with_bar

        fetch_with_bar(described, cache)
    os.environ["KELP_CACHE"] = str(cache)
    where = ["--host", host, "--port", str(port), "--grpc-port", str(grpc_port)]
    become("predictors.serving", [str(card), *where, *ctx.args], extra=described.runtime)
