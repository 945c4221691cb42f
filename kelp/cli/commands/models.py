"""`kelp models`."""

from __future__ import annotations

from typing import Any

import typer

from kelp.cli.output import Format, OutputOption, print_columns, print_document

app = typer.Typer(rich_markup_mode=None)


@app.command()
def models(output: OutputOption = None) -> None:
    """List the models and their states; wakes none."""
    from kelp.cli.servers import v2_client

    with v2_client(cold_start_s=0.0) as client:
        index = client.models()
        found = [_described(client.metadata(entry.name), entry.state, entry.reason) for entry in index]
    if output in {Format.json, Format.yaml}:
        assert output is not None
        print_document(found, output)
    elif output is Format.wide:
        columns = ["name", "state", "task", "title", "runtime", "version", "start_timeout", "labels", "reason"]
        _print(columns, [{**m, "labels": ",".join(m["labels"])} for m in found])
    else:
        _print(["name", "state", "task", "title", "labels"], [{**m, "labels": _few(m["labels"])} for m in found])


def _described(metadata: dict[str, Any], state: str, reason: str) -> dict[str, Any]:
    """Of a server that knows no cards, what V2 itself tells."""
    card = metadata.get("parameters", {}).get("card", {})
    return {
        "name": metadata["name"],
        "state": card.get("state") or state.lower(),
        "task": card.get("task"),
        "title": card.get("title"),
        "runtime": card.get("runtime") or metadata.get("platform"),
        "version": card.get("version"),
        "start_timeout": card.get("start_timeout"),
        "labels": [label["name"] for label in card.get("labels", [])],
        "settings": card.get("settings", {}),
        "sha256": card.get("sha256", {}),
        "reason": card.get("reason") or (reason if reason not in {"asleep", "starting"} else ""),
    }


def _print(columns: list[str], rows: list[dict[str, Any]]) -> None:
    print_columns(
        [name.upper().replace("_", " ") for name in columns], [[row[name] for name in columns] for row in rows]
    )


def _few(labels: list[str]) -> str:
    """As many names as fit into a column."""
    text = ", ".join(labels)
    return text if len(text) <= 48 else f"{text[:44].rpartition(',')[0]}, … ({len(labels)})"
