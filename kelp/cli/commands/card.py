"""`kelp card check|schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from kelp.cli.exits import USAGE
from kelp.cli.output import Document, DocumentOption, print_document, say


class _Result(NamedTuple):
    path: Path
    model: str | None
    faults: list[str]


app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Check model cards, or print their schema.")


@app.command()
def check(
    cards: Annotated[list[Path], typer.Argument(help="card files, or folders of them")],
    weights: Annotated[bool, typer.Option("--weights", help="fetch and verify the weights too")] = False,
    output: DocumentOption = None,
) -> None:
    """Check cards; each fault is one line: file, field, what was expected. Exits 2 where there is any."""
    from kelp.card import load_cards

    results = [_checked(path, weights=weights) for path in _files(cards)]
    good = not any(result.faults for result in results)
    if good:
        for folder in filter(Path.is_dir, cards):
            load_cards(folder)  # two cards with one name
    if output is not None:
        print_document(
            [{"file": str(r.path), "model": r.model, "ok": not r.faults, "faults": r.faults} for r in results], output
        )
    for result in results:
        for fault in result.faults:
            say(f"kelp: {fault}")
        if output is None and not result.faults:
            typer.echo(f"{result.path}: {result.model}: ok")
    if not good:
        raise typer.Exit(USAGE)


@app.command()
def schema(output: DocumentOption = None) -> None:
    """Print the JSON schema of a card, for editors."""
    from kelp.card import card_json_schema

    print_document(card_json_schema(), output or Document.json)


def _files(paths: list[Path]) -> list[Path]:
    from kelp.cli.exits import UsageError

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = [p for p in path.iterdir() if p.suffix in {".yaml", ".yml"} and not p.name.startswith(".")]
            if not below:
                raise UsageError(f"{path}: holds no model card (*.yaml)")
            found += sorted(below)
        else:
            found.append(path)
    return found


def _checked(path: Path, *, weights: bool) -> _Result:
    from kelp.card import load_card
    from kelp.errors import KelpError

    model = None
    try:
        card = load_card(path)
        model = card.model_name
        if weights:
            from kelp.cli.progress import fetch_with_bar
            from kelp.weights import default_cache

            fetch_with_bar(card, default_cache())
    except KelpError as error:
        return _Result(path, model, error.message.splitlines())
    return _Result(path, model, [])
