"""`kelp pipeline apply|delete|check FILE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelp.cli.exits import FAILED, NOT_ALLOWED, UNREACHABLE, UsageError
from kelp.cli.output import DocumentOption, print_document, say
from kelp.errors import KelpError

if TYPE_CHECKING:
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
    changed, or where nobody agreed.
    """
    from kelp.pipeline.applying import apply as do
    from kelp.pipeline.difference import Comparison
    from kelp.pipeline.present import present_of
    from kelp.pipeline.settings import first_secret

    settings, _, wanted, _ = _read(file, models, bridge)
    secret = first_secret(wanted.secret_from)
    if rotate_secret and not secret:
        raise UsageError(f"--rotate-secret: {wanted.secret_from} is not set: which secret?")
    with _cvat(settings) as cvat:
        present = present_of(wanted, cvat, source=str(file))
        tried = _Pings(cvat, ping)
        difference = Comparison(wanted, present, secret=secret, rotate=rotate_secret, ping=tried).difference()
        if not secret and any(step.sign == "+" for step in difference.changes):
            difference.notes.append(
                f"{wanted.secret_from} is not set: webhooks get no secret, and the bridge takes them from its own "
                "machine only"
            )
        if output is None:
            _show(difference)
        agreed = bool(difference.changes) and not dry_run and _agreed(yes, output is None)
        if agreed:
            touched = do(wanted, present, difference, cvat, secret=secret, done=say)
            if ping:
                _try(touched, cvat, wanted, settings, str(file))
    if output is not None:
        print_document(
            {
                "pipeline": wanted.pipeline,
                "applied": agreed,
                "steps": [_step_json(step) for step in difference.steps],
                "notes": difference.notes,
            },
            output,
        )
    if difference.blocked or (difference.changes and not agreed and not dry_run):
        raise typer.Exit(FAILED)


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


class _Pings:
    """Pings a webhook at most once; after one that was not answered no other, each would take CVAT 10 s."""

    def __init__(self, cvat: Cvat, wanted: bool) -> None:
        self._cvat = cvat
        self._goes_on = wanted

    def __call__(self, webhook: dict[str, Any]) -> dict[str, Any] | None:
        from kelp.pipeline.delivery import REACHED

        if not self._goes_on:
            return None
        try:
            delivery = self._cvat.ping(webhook["id"])
        except KelpError as error:  # of a ping alone: an answer that CVAT cannot store makes it a 500
            say(f"kelp: webhook {webhook['id']} could not be tried: {error.message}")
            self._goes_on = False
            return None
        self._goes_on = delivery.get("status_code") in REACHED
        return delivery


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
    cards = Cards(settings.models, known, folder.faults, lambda model: labels_told(settings, model))
    wanted = wanted_of(pipeline, cards, source=str(file), bridge=bridge or "", public_url=settings.public_url)
    return settings, pipeline, wanted, cards


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


def _try(touched: Sequence[int], cvat: Cvat, wanted: Wanted, settings: PipelineSettings, file: str) -> None:
    """Ping what was made or changed, and say what does not work yet."""
    from kelp.pipeline.delivery import REACHED, of_delivery

    for number in touched:
        try:
            delivery = cvat.ping(number)
        except KelpError as error:
            say(f"kelp: webhook {number} could not be tried: {error.message}")
            return
        finding = of_delivery(f"webhook {number}", wanted.bridge, delivery, file=file, bridge_answers=True)
        if finding.state == "fails":
            say(f"kelp: {finding.line()}")
        if delivery.get("status_code") not in REACHED:
            break


def _print_findings(found: Sequence[Finding]) -> None:
    words = {"ok": ("ok", "green"), "fails": ("FAILS", "red"), "unknown": ("?", "yellow")}
    for finding in found:
        word, colour = words[finding.state]
        shown = word.ljust(5)
        shown = typer.style(shown, fg=colour) if sys.stdout.isatty() else shown
        typer.echo(f"{shown}  {finding.line()}")
