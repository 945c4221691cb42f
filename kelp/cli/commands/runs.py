"""`kelp runs [list|follow|retry|cancel]`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kelp.cli.exits import UsageError
from kelp.cli.following import exit_code_of, follow_all, print_runs
from kelp.cli.output import DocumentOption, Format, OutputOption, print_document, say
from kelp.cli.servers import bridge

app = typer.Typer(rich_markup_mode=None, help="List, follow, retry and cancel the bridge's runs.")
_PAGE = 200

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="the run's id")]
RunsArgument = Annotated[list[str], typer.Argument(metavar="RUN…", help="ids of runs")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="wait until it ends")]


@app.callback(invoke_without_command=True)
def runs(ctx: typer.Context, output: OutputOption = None) -> None:
    if ctx.invoked_subcommand is None:
        list_runs(output=output)
    elif output is not None:
        raise UsageError(f"-o belongs behind the command: kelp runs {ctx.invoked_subcommand} -o {output.value}")


@app.command("list")
def list_runs(
    state: Annotated[str | None, typer.Option(help="queued, running, waiting, completed, failed…")] = None,
    model: Annotated[str | None, typer.Option(help="the model's name")] = None,
    job: Annotated[int | None, typer.Option(help="of this job")] = None,
    task: Annotated[int | None, typer.Option(help="of this task")] = None,
    project: Annotated[int | None, typer.Option(help="of this project")] = None,
    limit: Annotated[int, typer.Option(min=1, help="so many, the newest")] = 50,
    output: OutputOption = None,
) -> None:
    """List runs, newest first."""
    found: list[dict[str, Any]] = []
    page = None
    filters = {"state": state, "model": model, "job": job, "task": task, "project": project}
    with bridge() as called:
        while len(found) < limit:
            size = min(_PAGE, limit - len(found))
            answer = called.get("/api/v1/runs", **filters, page=page, limit=size)
            found += answer["runs"]
            page = answer["next"]
            if page is None:
                break
    if output in {Format.json, Format.yaml}:
        assert output is not None
        print_document(found, output)
    else:
        print_runs(found, wide=output is Format.wide)


@app.command()
def follow(runs: RunsArgument, output: DocumentOption = None) -> None:
    """Show the progress of runs until they end. Exits 1 unless all of them completed."""
    with bridge() as called:
        ended = follow_all(called, runs)
    if output is not None:
        print_document(ended, output)
    raise typer.Exit(exit_code_of(ended))


@app.command()
def retry(
    runs: RunsArgument,
    again: Annotated[bool, typer.Option("--again", help="infer anew instead of using the stored shapes")] = False,
    wait: FollowOption = False,
) -> None:
    """Queue finished runs once more; they go on from their stored shapes."""
    with bridge() as called:
        for run in runs:
            view = called.post(f"/api/v1/runs/{run}/retry", {"again": again})
            say(f"run {view['id']} {view['state']}")
        if wait:
            raise typer.Exit(exit_code_of(follow_all(called, runs)))


@app.command()
def cancel(runs: RunsArgument) -> None:
    """Stop runs after the chunk in hand; what is written stays."""
    with bridge() as called:
        for run in runs:
            view = called.post(f"/api/v1/runs/{run}/cancel")
            say(f"run {view['id']} {'is being cancelled' if view['state'] != 'cancelled' else 'cancelled'}")
