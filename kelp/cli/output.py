"""What commands print: columns for people, JSON or YAML for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """`-o`: nothing is columns, `wide` more of them."""

    json = "json"
    yaml = "yaml"
    wide = "wide"


class Document(StrEnum):
    """`-o` of commands whose columns have no wide form."""

    json = "json"
    yaml = "yaml"


OutputOption = Annotated[Format | None, typer.Option("-o", "--output", help="json, yaml, or wide: more columns")]
DocumentOption = Annotated[Document | None, typer.Option("-o", "--output", help="json or yaml")]

_COLOURS = {
    "ready": "green", "completed": "green", "starting": "yellow", "running": "yellow", "waiting": "yellow",
    "completed_with_errors": "yellow", "failing": "red", "failed": "red", "ok": "green", "warn": "yellow",
    "missing": "red",
}  # fmt: skip


def print_document(value: Any, form: Format | Document) -> None:
    """`value` as JSON or YAML on stdout."""
    if form.value == "yaml":
        import yaml

        sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
    else:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_columns(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Aligned columns with a heading, never cut; states are coloured on a terminal."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max([len(head), *(len(row[i]) for row in texts)]) for i, head in enumerate(columns)]
    colours = sys.stdout.isatty()
    for row in [list(columns), *texts]:
        cells = []
        for cell, width in zip(row, widths, strict=True):
            padded = cell.ljust(width)
            colour = _COLOURS.get(cell) if colours else None
            cells.append(typer.style(padded, fg=colour) if colour else padded)
        sys.stdout.write("   ".join(cells).rstrip() + "\n")


def print_fields(fields: Mapping[str, Any]) -> None:
    """One line a field, values aligned."""
    width = max(map(len, fields))
    for name, value in fields.items():
        sys.stdout.write(f"{name.ljust(width)}   {_text(value)}\n")


def say(text: str) -> None:
    """A line for people, on stderr, so that stdout stays the result."""
    sys.stderr.write(text + "\n")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)
