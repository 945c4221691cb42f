"""`kelp import FILE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelp.cli.exits import FAILED, UsageError
from kelp.cli.platforms import ContextOption, KubeconfigOption, NamespaceOption, Platform, PlatformOption, Where

if TYPE_CHECKING:
    from kelp.card import Card

app = typer.Typer(rich_markup_mode=None)


@app.command()
def import_(
    file: Annotated[str, typer.Argument(help="cards as `kelp get model NAME -o yaml` prints them; - for stdin")],
    wait: Annotated[bool, typer.Option(help="wait until the model is Ready")] = True,
    wake: Annotated[bool, typer.Option(help="wake it once: without a pod, Ready proves nothing")] = True,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    platform: PlatformOption = Platform.auto,
) -> None:
    """Deploy cards that were printed before, from one file of one or several YAML documents, or a JSON list."""
    from kelp.cli.deploying import Plan, deploy_to_cluster

    cards = _cards(file)
    where = Where(platform, namespace, kubeconfig, context)
    plan = Plan(wait=wait, wake=wake and wait)
    if where.on_cluster:
        good = deploy_to_cluster(where, cards, plan)
    else:
        from kelp.cli.local_models import deploy_here

        good = deploy_here(cards, plan)
    if not good:
        raise typer.Exit(FAILED)


def _cards(file: str) -> list[Card]:
    import yaml

    from kelp.card import parse_card

    where = "standard input" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        documents: list[Any] = [one for one in yaml.safe_load_all(text) if one is not None]
    except OSError as error:
        raise UsageError(f"{where}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    found = [card for one in documents for card in (one if isinstance(one, list) else [one])]
    if not found:
        raise UsageError(f"{where}: holds no card")
    if any(isinstance(one, dict) and one.get("kind") and one.get("apiVersion") for one in found):
        raise UsageError(f"{where}: holds Kubernetes objects, not cards: `kubectl apply -f` takes those")
    return [parse_card(yaml.safe_dump(one), source=f"{where}[{index}]") for index, one in enumerate(found)]
