"""`kelp pipeline apply|delete|check FILE`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelp.cli.exits import FAILED, NOT_ALLOWED, NOT_WORKING, UNREACHABLE, UsageError
from kelp.cli.output import DocumentOption, print_document, say

if TYPE_CHECKING:
    from kelp.card import Card
    from kelp.pipeline.cards import Cards
    from kelp.pipeline.cvat import Cvat
    from kelp.pipeline.findings import Finding
    from kelp.pipeline.schema import Pipeline
    from kelp.pipeline.settings import PipelineSettings
    from kelp.pipeline.steps import Difference, Step
    from kelp.pipeline.wanted import Wanted

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Projects and webhooks of CVAT, from one file; and their check."
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="the pipeline's file")]
ModelsOption = Annotated[Path | None, typer.Option("--models", help="folder of model cards; else KELP_MODELS")]
BridgeOption = Annotated[
    str | None, typer.Option("--bridge", help="the bridge as CVAT sees it; else the file's, else KELP_PUBLIC_URL")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="show the difference and change nothing")]


@app.command()
def apply(
    file: FileArgument,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    rotate_secret: Annotated[
        bool, typer.Option("--rotate-secret", help="give every webhook the secret that is set here")
    ] = False,
    ping: Annotated[bool, typer.Option(help="try webhooks and their secrets by CVAT's ping")] = True,
    models: ModelsOption = None,
    bridge: BridgeOption = None,
    output: DocumentOption = None,
) -> None:
    """Make CVAT hold what the file says: shows the difference, asks, and creates or changes what it takes.

    What people made stays as it is. A second time there is nothing to do. Exits 1 where something differs that is not
    changed, or where nobody agreed; 5 where all is as the file says, but the ping of a webhook fails.
    """
    from kelp.pipeline.applying import apply as do
    from kelp.pipeline.difference import Comparison
    from kelp.pipeline.pinging import Pings
    from kelp.pipeline.present import present_of
    from kelp.pipeline.settings import first_secret

    settings, _, wanted, _ = _read(file, models, bridge)
    secret = first_secret(wanted.secret_from)
    if rotate_secret and not secret:
        raise UsageError(f"--rotate-secret: {wanted.secret_from} is not set: which secret?")
    with _cvat(settings) as cvat:
        present = present_of(wanted, cvat, source=str(file))
        pings = Pings(cvat, settings, bridge=wanted.bridge, file=str(file), wanted=ping)
        difference = Comparison(wanted, present, secret=secret, rotate=rotate_secret, ping=pings).difference()
        if not secret and any(step.sign == "+" for step in difference.changes):
            difference.notes.append(
                f"{wanted.secret_from} is not set: webhooks get no secret, and the bridge takes them from its own "
                "machine only"
            )
        if output is None:
            _show(difference)
        agreed = bool(difference.changes) and not dry_run and _agreed(yes, output is None)
        if agreed:
            pings.again(do(wanted, present, difference, cvat, secret=secret, done=say))
    # Before the changes are made, what a ping says of a webhook may be the very reason for them.
    failing = pings.failing() if agreed or not difference.changes else []
    for finding in failing:
        say(f"kelp: {finding.line()}")
    if output is not None:
        print_document(
            {
                "pipeline": wanted.pipeline,
                "applied": agreed,
                "steps": [_step_json(step) for step in difference.steps],
                "notes": difference.notes,
                "failing": [finding.to_json() for finding in failing],
            },
            output,
        )
    if difference.blocked or (difference.changes and not agreed and not dry_run):
        raise typer.Exit(FAILED)
    if failing and not dry_run:
        raise typer.Exit(NOT_WORKING)


@app.command()
def delete(
    file: FileArgument,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    with_tasks: Annotated[
        bool, typer.Option("--with-tasks", help="delete projects that hold tasks too, with all annotations")
    ] = False,
    output: DocumentOption = None,
) -> None:
    """Take away what the pipeline made: its webhooks, and its projects if they hold no tasks."""
    from kelp.pipeline.deleting import delete as do
    from kelp.pipeline.deleting import made_by
    from kelp.pipeline.load import load_pipeline

    settings = _settings(None)
    pipeline = load_pipeline(file)
    stays: list[str] = []
    with _cvat(settings) as cvat:
        stay = {project.id for project in pipeline.projects.values() if project.id is not None}
        made = made_by(pipeline.name, cvat, with_tasks=with_tasks, stay=stay)
        lines, stays = made.lines(), made.notes()
        if output is None:
            for line in lines:
                typer.echo(line)
            for note in stays:
                say(f"kelp: {note}")
            if not lines:
                say(f"nothing of the pipeline '{pipeline.name}' is left to delete")
        agreed = bool(lines) and not dry_run and _agreed(yes, output is None)
        if agreed:
            late = do(made, cvat, with_tasks=with_tasks, done=say)
            for note in late:
                say(f"kelp: {note}")
            stays += late
    if output is not None:
        print_document({"pipeline": pipeline.name, "deleted": agreed, "steps": lines, "notes": stays}, output)
    if lines and not agreed and not dry_run:
        raise typer.Exit(FAILED)


@app.command()
def check(
    file: FileArgument,
    models: ModelsOption = None,
    bridge: BridgeOption = None,
    output: DocumentOption = None,
) -> None:
    """Try every link, from CVAT to the models, and say in a line what to do about each that fails.

    Changes nothing; CVAT sends a ping by each webhook. Exits with the code of the first link that fails: 3 nobody
    answers, 4 not allowed, 1 anything else.
    """
    from kelp.pipeline.checking import Check

    settings, pipeline, wanted, cards = _read(file, models, bridge)
    with _cvat(settings) as cvat:
        found = Check(pipeline, wanted, cards, settings, str(file)).run(cvat)
    if output is not None:
        print_document([finding.to_json() for finding in found], output)
    else:
        _print_findings(found)
    failing = next((finding for finding in found if finding.state == "fails"), None)
    if failing is not None:
        raise typer.Exit({"unreachable": UNREACHABLE, "denied": NOT_ALLOWED, "wrong": FAILED}[failing.cause])


def _settings(models: Path | None) -> PipelineSettings:
    from kelp.pipeline.settings import PipelineSettings

    settings = PipelineSettings.read(**({} if models is None else {"models": models}))
    settings.check_account()
    return settings


def _read(file: Path, models: Path | None, bridge: str | None) -> tuple[PipelineSettings, Pipeline, Wanted, Cards]:
    from kelp.local.cards import read_folder
    from kelp.pipeline.cards import Cards
    from kelp.pipeline.load import load_pipeline
    from kelp.pipeline.servers import labels_told
    from kelp.pipeline.wanted import wanted_of

    settings = _settings(models)
    pipeline = load_pipeline(file)
    folder = read_folder(settings.models)
    known = {name: found.card for name, found in folder.cards.items()}
    cards = Cards(settings.models, known, folder.faults, lambda model: labels_told(settings, model), _judged)
    wanted = wanted_of(pipeline, cards, source=str(file), bridge=bridge or "", public_url=settings.public_url)
    return settings, pipeline, wanted, cards


def _judged(card: Card, settings: Mapping[str, Any]) -> dict[str, str]:
    """setting → what the card's runtime, where it is installed here, finds wrong with it."""
    from kelp.card.load import CardError
    from kelp.cli.checking import refuse_faulty

    try:
        refuse_faulty([card.model_copy(update={"settings": {**card.settings, **settings}})])
    except CardError as error:
        begins = {f"{card.model_name}: settings.{name}: ": name for name in settings}
        lines = error.message.splitlines()
        return {name: line.removeprefix(begin) for begin, name in begins.items() for line in lines if begin in line}
    return {}


def _cvat(settings: PipelineSettings) -> Cvat:
    from kelp.pipeline.cvat import Cvat

    return Cvat(settings)


def _agreed(yes: bool, may_ask: bool) -> bool:
    if yes:
        return True
    if not (may_ask and sys.stdin.isatty()):
        raise UsageError("nobody can be asked here: --yes goes on without, --dry-run only shows the difference")
    if typer.confirm("Go on?"):
        return True
    say("nothing was changed")
    return False


def _show(difference: Difference) -> None:
    for step in difference.steps:
        typer.echo(f"{step.sign} {step.what}")
        for line in step.told:
            typer.echo(f"    {line}")
    for note in difference.notes:
        say(f"kelp: {note}")
    if not difference.steps:
        typer.echo("nothing to do")


def _step_json(step: Step) -> dict[str, Any]:
    kind = {"+": "create", "~": "change", "-": "delete", "!": "blocked"}[step.sign]
    return {"do": kind, "what": step.what, "details": list(step.told)}


def _print_findings(found: Sequence[Finding]) -> None:
    words = {"ok": ("ok", "green"), "fails": ("FAILS", "red"), "unknown": ("?", "yellow")}
    for finding in found:
        word, colour = words[finding.state]
        shown = word.ljust(5)
        shown = typer.style(shown, fg=colour) if sys.stdout.isatty() else shown
        typer.echo(f"{shown}  {finding.line()}")
