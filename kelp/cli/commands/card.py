"""`kelp card check|schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kelp.cli.exits import FAILED, USAGE
from kelp.cli.output import Document, DocumentOption, print_document, say

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Check model cards, or print their schema.")


@app.command()
def check(
    cards: Annotated[list[Path], typer.Argument(help="card files, or folders of them")],
    weights: Annotated[bool, typer.Option("--weights", help="fetch and verify the weights too")] = False,
    output: DocumentOption = None,
) -> None:
    """Check cards: fields, weights on this machine, the runtime's settings. Each fault is a line: file, field, what was
    expected. Exits 1 where there is any, 2 where a file is not there."""
    from kelp.cli.checking import check_cards

    results = check_cards(cards, fetch_weights=weights)
    if output is not None:
        print_document(
            [
                {
                    "file": str(r.path),
                    "model": r.card and r.card.model_name,
                    "ok": not r.faults,
                    "faults": r.faults,
                    "notes": r.notes,
                }
                for r in results
            ],
            output,
        )
    for result in results:
        for line in (*result.faults, *result.notes):
            say(f"kelp: {line}")
        if output is None and result.card and not result.faults:
            typer.echo(f"{result.path}: {result.card.model_name}: ok")
    if any(result.faults for result in results):
        raise typer.Exit(USAGE if any(result.missing for result in results) else FAILED)


@app.command()
def schema(output: DocumentOption = None) -> None:
    """Print the JSON schema of a card, for editors."""
    from kelp.card import card_json_schema

    print_document(card_json_schema(), output or Document.json)
