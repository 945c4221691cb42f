"""`kelp deploy CARD|FOLDER`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kelp.cli.exits import FAILED, UsageError
from kelp.cli.output import DocumentOption
from kelp.cli.platforms import ContextOption, KubeconfigOption, NamespaceOption, Platform, PlatformOption, Where

if TYPE_CHECKING:
    from kelp.card import Card

app = typer.Typer(rich_markup_mode=None)


@app.command()
def deploy(
    cards: Annotated[list[Path], typer.Argument(help="card files, or folders of them")],
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    platform: PlatformOption = Platform.auto,
    wait: Annotated[bool, typer.Option(help="wait until the model is Ready")] = True,
    wake: Annotated[bool, typer.Option(help="wake it once: without a pod, Ready proves nothing")] = True,
    timeout: Annotated[float | None, typer.Option(help="seconds to wait for Ready; a start has its card's")] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="for local weights, s3://bucket/folder or pvc://claim/folder; else the platform's"),
    ] = None,
    canary: Annotated[int | None, typer.Option(min=0, max=100, help="percent of requests for the new version")] = None,
    project: Annotated[str | None, typer.Option(help="a name to group models by in `kelp get`")] = None,
    patch: Annotated[
        Path | None, typer.Option(help="what an environment changes of the cards, such as environments/prod/cards.yaml")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="mark the models as this installation's, for --prune")] = None,
    prune: Annotated[bool, typer.Option("--prune", help="remove the owner's models that have no card here")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the objects; send and change nothing")] = False,
    output: DocumentOption = None,
) -> None:
    """Bring models to a cluster, or to the kelp up of this machine, from their cards.

    Weights of this machine are sent to the platform's storage first, under their sha256; what is there is not sent
    again. Exits 1 where a model does not become ready.
    """
    from kelp.cli.deploying import Plan

    if prune and not owner:
        raise UsageError("--prune removes models of an owner: name it with --owner")
    if output is not None and not dry_run:
        raise UsageError("-o belongs to --dry-run; `kelp get models -o` prints what runs")
    found = _cards(cards, may_be_none=prune) if patch is None else _patched(cards, patch)
    if canary is not None:
        found = [card.model_copy(update={"canary_percent": canary}) for card in found]
    plan = Plan(
        wait=wait, wake=wake and wait, timeout_s=timeout, storage=storage, project=project or "", owner=owner or "",
        prune=prune, dry_run=dry_run, output=output,
    )  # fmt: skip
    where = Where(platform, namespace, kubeconfig, context)
    if where.on_cluster:
        from kelp.cli.deploying import deploy_to_cluster

        good = deploy_to_cluster(where, found, plan)
    else:
        from kelp.cli.local_models import deploy_here

        good = deploy_here(found, plan)
    if not good:
        raise typer.Exit(FAILED)


def _cards(paths: list[Path], *, may_be_none: bool) -> list[Card]:
    from kelp.card import load_card, load_cards

    found: dict[str, Card] = {}
    for path in paths:
        loaded = load_cards(path) if path.is_dir() else {(card := load_card(path)).model_name: card}
        if not loaded and not may_be_none:
            raise UsageError(f"{path}: holds no model card (*.yaml)")
        twice = found.keys() & loaded.keys()
        if twice:
            raise UsageError(f"{path}: '{min(twice)}' is given twice")
        found |= loaded
    return list(found.values())


def _patched(paths: list[Path], patch: Path) -> list[Card]:
    from kelp.deploy.patches import patched_cards

    folders = [sorted(p for p in path.iterdir() if p.suffix in {".yaml", ".yml"}) for path in paths if path.is_dir()]
    files = [path for path in paths if not path.is_dir()] + [file for folder in folders for file in folder]
    return list(patched_cards(files, patch).values())
