"""`kelp update NAME`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kelp.cli.exits import FAILED, UsageError
from kelp.cli.output import say
from kelp.cli.parameters import SetOption, parse_set
from kelp.cli.platforms import ContextOption, KubeconfigOption, NamespaceOption, Platform, PlatformOption, Where

app = typer.Typer(rich_markup_mode=None)


@app.command()
def update(
    name: Annotated[str, typer.Argument(help="the model's name")],
    settings: SetOption = None,
    low: Annotated[int | None, typer.Option("--min", min=0, help="replicas that are always there")] = None,
    high: Annotated[int | None, typer.Option("--max", min=1, help="replicas at most")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="requests that one replica holds at once")] = None,
    retention: Annotated[float | None, typer.Option(min=0, help="seconds that an idle replica is kept")] = None,
    canary: Annotated[
        int | None, typer.Option(min=0, max=100, help="percent of requests for the newest version; 100: all, 0: none")
    ] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="back to the card before the last change")] = False,
    wait: Annotated[bool, typer.Option(help="wait until the model is Ready")] = True,
    wake: Annotated[bool, typer.Option(help="wake it once: without a pod, Ready proves nothing")] = True,
    timeout: Annotated[float | None, typer.Option(help="seconds to wait for Ready; a start has its card's")] = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    platform: PlatformOption = Platform.auto,
) -> None:
    """Change a deployed model: its settings, its scale, the share of its newest version; or go back.

    What else a card says is changed in the card, and deployed.
    """
    changes: dict[str, Any] = {
        "settings": parse_set(settings),
        "scale": {"min": low, "max": high, "concurrency": concurrency, "retention": retention},
        "canary_percent": canary,
    }
    changes["scale"] = {field: value for field, value in changes["scale"].items() if value is not None}
    changes = {field: value for field, value in changes.items() if value not in ({}, None)}
    if bool(changes) == rollback:
        raise UsageError(
            "expected what to change (--set, --min, --max, --concurrency, --retention, --canary), or --rollback"
        )
    where = Where(platform, namespace, kubeconfig, context)
    if not where.on_cluster:
        from kelp.cli.local_models import card_here, update_here

        if rollback or canary is not None:
            raise UsageError("--rollback and --canary are for a cluster: here, deploy the other card")
        update_here(name, changed(card_here(name), changes))
        return
    from kelp.cli.checking import refuse_faulty
    from kelp.cli.deploying import Plan, apply_again
    from kelp.deploy.cluster.deploying import deployed_card

    cluster = where.cluster()
    card = deployed_card(cluster, name, previous=rollback)
    if not rollback:
        card = changed(card, changes)
        refuse_faulty([card])
    plan = Plan(wait=wait, wake=wake and wait, timeout_s=timeout)
    if not apply_again(cluster, card, plan):
        if not rollback:
            say(f"kelp: requests go to this version now: `kelp update {name} --rollback` goes back to the one before")
        raise typer.Exit(FAILED)


def changed(card: Any, changes: dict[str, Any]) -> Any:
    """`card` with `changes` laid over its fields. CardError names what it cannot be."""
    import json

    from kelp.card import parse_card
    from kelp.deploy.cards import as_data

    data = as_data(card)
    for field, value in changes.items():
        data[field] = {**data.get(field, {}), **value} if isinstance(value, dict) else value
    return parse_card(json.dumps(data), source=card.model_name)
