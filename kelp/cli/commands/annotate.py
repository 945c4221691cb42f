"""`kelp annotate --model NAME --job|--task|--project ID`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kelp.cli.exits import FAILED, UsageError
from kelp.cli.output import DocumentOption, print_document, say
from kelp.cli.parameters import SetOption, parse_set

app = typer.Typer(rich_markup_mode=None)


@app.command()
def annotate(
    model: Annotated[str, typer.Option(help="the model's name")],
    job: Annotated[int | None, typer.Option(min=1, help="annotate this job")] = None,
    task: Annotated[int | None, typer.Option(min=1, help="annotate every job of this task")] = None,
    project: Annotated[int | None, typer.Option(min=1, help="annotate every job of this project")] = None,
    settings: SetOption = None,
    again: Annotated[bool, typer.Option("--again", help="infer anew even if an equal run exists")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="wait until the runs end")] = False,
    output: DocumentOption = None,
) -> None:
    """Annotate a job, a task or a project of CVAT now. --set takes the webhook's parameters too."""
    from kelp.cli.following import exit_code_of, follow_all, say_found
    from kelp.cli.servers import bridge, who

    places = {"job": job, "task": task, "project": project}
    chosen = {name: value for name, value in places.items() if value is not None}
    if len(chosen) != 1:
        raise UsageError("expected exactly one of --job, --task and --project")
    body: dict[str, Any] = {"model": model, **chosen, "parameters": parse_set(settings), "again": again}
    with bridge() as called:
        asked = called.post("/api/v1/runs", {**body, "caused_by": who()})
        for skipped, why in asked["skipped"].items():
            say(f"job {skipped} is left out: {why}")
        will_do = say_found(asked)
        if output is None:
            for run in asked["runs"]:
                typer.echo(run)
        ended = follow_all(called, asked["runs"]) if follow else []
    if output is not None:
        print_document({**asked, "ended": ended} if follow else asked, output)
    if follow:
        raise typer.Exit(exit_code_of(ended))
    if not will_do:
        raise typer.Exit(FAILED)
