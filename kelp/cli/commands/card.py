"""`kelp card new|check|schema`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kelp.cli.commands.card_new import new
from kelp.cli.exits import FAILED, USAGE, UsageError
from kelp.cli.output import Document, DocumentOption, print_document, say

if TYPE_CHECKING:
    from kelp.cli.checking import Checked

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Write a card for weights, check cards, or print their schema."
)
app.command()(new)


@app.command()
def check(
    cards: Annotated[list[Path], typer.Argument(help="card files, or folders of them")],
    weights: Annotated[bool, typer.Option("--weights", help="fetch and verify the weights too")] = False,
    deploy: Annotated[bool, typer.Option("--deploy", help="go through the checklist before production")] = False,
    images: Annotated[
        Path | None, typer.Option(help="with --deploy: real pictures, which the model is to answer")
    ] = None,
    output: DocumentOption = None,
) -> None:
    """Check cards: fields, weights on this machine, the runtime's settings. Each fault is a line: file, field, what was
    expected. Exits 1 where there is any, 2 where a file is not there.

    --deploy starts each model by itself, apart from what runs: accuracy, real pictures, memory, GPU, errors, speed, and
    whether a task of CVAT was annotated. Exits 1 where something is missing that production has to wait for.
    """
    from kelp.cli.checking import check_cards

    if images is not None and not deploy:
        raise UsageError("--images goes with --deploy")
    results = check_cards(cards, fetch_weights=weights or deploy)
    if deploy and not any(result.missing for result in results):
        _go_through(results, images, output)
        return
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


def _go_through(results: Sequence[Checked], images: Path | None, output: Document | None) -> None:
    from kelp.cli.checklist import as_document, checklist
    from kelp.cli.output import print_columns
    from kelp.cli.progress import counting

    documents, blocked = [], False
    for result in results:
        if result.card is None:
            for fault in result.faults:
                say(f"kelp: {fault}")
            blocked = True
            continue
        name = result.card.model_name
        faults = [fault.removeprefix(f"{result.path}: ") for fault in result.faults]
        with counting(name, None) as bar:
            lines = list(checklist(result.path, result.card, faults, images, bar.note))
        blocked = blocked or any(line.blocks for line in lines)
        documents.append({"file": str(result.path), "model": name, "lines": as_document(lines)})
        if output is None:
            typer.echo(f"{name} ({result.path})")
            print_columns(("CHECK", "STATE", "WHAT"), [[line.point, line.state, line.told] for line in lines])
            for line in lines:
                if line.advice and line.state != "ok":
                    say(f"{line.point}: {line.advice}")
    if output is not None:
        print_document(documents, output)
    if blocked:
        raise typer.Exit(FAILED)


@app.command()
def schema(output: DocumentOption = None) -> None:
    """Print the JSON schema of a card, for editors."""
    from kelp.card import card_json_schema

    print_document(card_json_schema(), output or Document.json)
