"""`kelp run crop|remove-grid --task N --to P`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from kelp.cli.output import Document, DocumentOption, print_columns, print_document, say

app = typer.Typer(rich_markup_mode=None, help="Make a task from a task: crop its quadrats, or remove its grids.")

TaskOption = Annotated[int, typer.Option("--task", min=1, help="the task whose frames are used")]
TargetOption = Annotated[int, typer.Option("--to", min=1, metavar="PROJECT", help="the project of the new task")]
QualityOption = Annotated[int | None, typer.Option(min=1, max=100, help="of JPEGs")]
SkipOption = Annotated[
    bool, typer.Option("--skip-invalid", help="go on without frames that cannot be used, and report them")
]
AgainOption = Annotated[bool, typer.Option("--again", help="make another task where there is one already")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="say what would be done, and do nothing")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="wait until the run ends")]


class ImageFormat(StrEnum):
    jpeg = "jpeg"
    png = "png"


FormatOption = Annotated[ImageFormat | None, typer.Option("--format", help="of the new pictures")]


@app.command()
def crop(
    task: TaskOption,
    to: TargetOption,
    label: Annotated[str | None, typer.Option(help="the label of the quadrats, where several could be")] = None,
    size: Annotated[int | None, typer.Option(min=32, max=8192, help="side of the new pictures, in pixels")] = None,
    form: FormatOption = None,
    quality: QualityOption = None,
    skip_invalid: SkipOption = False,
    again: AgainOption = False,
    dry_run: DryOption = False,
    follow: FollowOption = False,
    output: DocumentOption = None,
) -> None:
    """Make a task of the quadrats in a task's frames, each seen straight on. It need not be completed."""
    given = {"label": label, "size": size, "format": form, "quality": quality, "skip_invalid": skip_invalid or None}
    _ask({"kind": "crop", "task": task, "target": to, "again": again}, given, dry_run, follow, output)


@app.command("remove-grid")
def remove_grid(
    task: TaskOption,
    to: TargetOption,
    model: Annotated[str | None, typer.Option(help="the model that removes grids; pth-lama by default")] = None,
    grid_line_width: Annotated[
        float | None, typer.Option(min=1, max=1000, help="of a string, in pixels of the original image")
    ] = None,
    form: FormatOption = None,
    quality: QualityOption = None,
    skip_invalid: SkipOption = False,
    again: AgainOption = False,
    dry_run: DryOption = False,
    follow: FollowOption = False,
    output: DocumentOption = None,
) -> None:
    """Make a task of a task's frames without the string grid on them. It need not be completed."""
    given = {
        "grid_line_width": grid_line_width, "format": form, "quality": quality, "skip_invalid": skip_invalid or None,
    }  # fmt: skip
    body: dict[str, Any] = {"kind": "remove-grid", "task": task, "target": to, "again": again}
    _ask(body | ({"model": model} if model else {}), given, dry_run, follow, output)


def _ask(body: dict[str, Any], given: dict[str, Any], dry_run: bool, follow: bool, output: Document | None) -> None:
    from kelp.cli.exits import FAILED
    from kelp.cli.following import exit_code_of, follow_all, say_found
    from kelp.cli.servers import bridge, who

    parameters = {name: value for name, value in given.items() if value is not None}
    with bridge() as called:
        asked = called.post("/api/v1/runs", {**body, "parameters": parameters, "dry_run": dry_run, "caused_by": who()})
        if dry_run:
            _print_dry(asked["would"], output)
            raise typer.Exit(FAILED if asked["would"]["state"] == "failed" else 0)
        will_do = say_found(asked)
        if output is None:
            typer.echo(asked["runs"][0])
        ended = follow_all(called, asked["runs"]) if follow else []
    if output is not None:
        print_document({**asked, "ended": ended} if follow else asked, output)
    if follow:
        raise typer.Exit(exit_code_of(ended))
    if not will_do:
        raise typer.Exit(FAILED)


def _print_dry(would: dict[str, Any], output: Document | None) -> None:
    if output is not None:
        print_document(would, output)
        return
    frames = would.get("frames", [])
    rows = [[frame["frame"], frame["name"], frame["new_name"] or "", frame["error"] or ""] for frame in frames]
    if rows:
        print_columns(("FRAME", "NAME", "NEW NAME", "LEFT OUT"), rows)
    good = sum(frame["error"] is None for frame in frames)
    if would.get("jobs_not_completed"):
        say(f"{would['jobs_not_completed']} of its jobs are not completed yet")
    if would["reason"]:
        say(f"the run would end as {would['state']}: {would['reason']}")
    else:
        say(f"would make task '{would['name']}' with {good} frames in project {would['target']}")
