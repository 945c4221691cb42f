"""What `kelp deploy`, `update` and `import` do on a cluster, card by card, and what they say of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kelp.card import Card
from kelp.cli.checking import refuse_faulty
from kelp.cli.output import Document, print_document, say
from kelp.cli.platforms import Where
from kelp.deploy import RenderOptions
from kelp.deploy.cluster.api import Cluster
from kelp.deploy.cluster.bundle import Bundle, bundle_of, is_local
from kelp.deploy.cluster.deploying import (
    Applied,
    Marks,
    apply_card,
    described,
    options_of,
    owned_by,
    remove,
    with_bundle,
)
from kelp.deploy.cluster.platform import Platform, read_platform
from kelp.errors import KelpError, NotReady, TooLate

_READY_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for besides the cards."""

    wait: bool = True
    wake: bool = True
    timeout_s: float | None = None
    storage: str | None = None
    project: str = ""
    owner: str = ""
    prune: bool = False
    dry_run: bool = False
    output: Document | None = None

    @property
    def marks(self) -> Marks:
        return Marks(self.owner, self.project)


def deploy_to_cluster(where: Where, cards: list[Card], plan: Plan) -> bool:
    """Whether all of them are there and ready. Nothing is applied before all weights are there."""
    refuse_faulty(cards)
    cluster = where.cluster()
    platform = read_platform(cluster)
    options = options_of(platform, cluster.namespace, plan.storage)
    if plan.dry_run:
        _print(cards, options, plan)
        return True
    if not platform.installed:
        say(f"kelp: namespace {cluster.namespace} has no ConfigMap kelp-platform: Kelp's defaults are used")
    placed = _place(cluster, platform, options, cards)
    done: list[tuple[Card, Applied]] = []
    for card in placed:
        applied = apply_card(cluster, card, options, plan.marks)
        say(f"{card.model_name}: {'applied' if applied.changed else 'unchanged'} in namespace {cluster.namespace}")
        done.append((card, applied))
    if plan.prune:
        for name in owned_by(cluster, plan.owner):
            if name not in {card.model_name for card in cards}:
                remove(cluster, name)
                say(f"{name}: removed, no card is there for it any more")
    seen = [
        _see(cluster, card, plan, applied) for card, applied in done if plan.wait
    ]  # all of them, whatever becomes of the first
    return all(seen)


def apply_again(cluster: Cluster, card: Card, plan: Plan) -> bool:
    """A card whose weights are on the cluster already; whether it became ready."""
    options = options_of(read_platform(cluster), cluster.namespace)
    applied = apply_card(cluster, card, options, plan.marks)
    what = "applied" if applied.changed else "only its card changed"
    say(f"{card.model_name}: {what} in namespace {cluster.namespace}")
    return _see(cluster, card, plan, applied) if plan.wait else True


def _place(cluster: Cluster, platform: Platform, options: RenderOptions, cards: list[Card]) -> list[Card]:
    """The cards with the address that their weights have on the cluster, once they lie there."""
    from kelp.cli.progress import transferring
    from kelp.deploy.cluster.storing import store_of

    bundles: dict[str, Bundle] = {card.model_name: bundle_of(card) for card in cards if is_local(card)}
    placed = [
        with_bundle(card, bundles[card.model_name], options) if card.model_name in bundles else card for card in cards
    ]
    for card in placed:
        described(card, options, Marks())  # what no cluster can have is said before anything is sent
    if bundles:
        store = store_of(cluster, platform, options.storage or "")
        for name, bundle in bundles.items():
            with transferring(f"{name}: weights", bundle.size) as on_bytes:
                store.upload(bundle, on_bytes)
    return placed


def _see(cluster: Cluster, card: Card, plan: Plan, applied: Applied) -> bool:
    """Wait for one model, and wake it; says how it went."""
    from kelp.cli.progress import counting
    from kelp.deploy.cluster.waking import wake
    from kelp.deploy.cluster.watching import wait_until_ready

    name = card.model_name
    patience = plan.timeout_s or max(_READY_S, card.start_timeout if card.scale.min else 0.0)
    try:
        with counting(f"{name}: waiting", None) as bar:
            note = bar.note if sys.stderr.isatty() else _each_once()
            wait_until_ready(cluster, name, patience, note, applied.former)
            seconds = wake(cluster, card, note) if plan.wake else None
    except (NotReady, TooLate) as error:
        say(f"kelp: {error.message}")
        return False
    except KelpError as error:
        say(f"kelp: {name}: {error.message}")
        return False
    say(f"{name}: ready, it woke in {seconds:.1f} s" if seconds is not None else f"{name}: Ready (not woken)")
    return True


def _each_once() -> Callable[[str], None]:
    """For where no bar is shown: says what is waited for when it changes, so that a pipeline's log has the reason."""
    last = ""

    def note(text: str) -> None:
        nonlocal last
        if text != last:
            last = text
            say(text)

    return note


def _print(cards: list[Card], options: RenderOptions, plan: Plan) -> None:
    objects: list[dict[str, Any]] = []
    for card in cards:
        placed = with_bundle(card, bundle_of(card), options) if is_local(card) else card
        objects += described(placed, options, plan.marks)
    if plan.output is Document.json:
        print_document({"apiVersion": "v1", "kind": "List", "items": objects}, Document.json)
        return
    import yaml

    yaml.safe_dump_all(objects, sys.stdout, sort_keys=False, allow_unicode=True, width=120)
