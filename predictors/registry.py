"""Runtime (a card's `runtime`) → the code that makes its model, imported only when it is wanted."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from kelp.card import Card
from kelp.errors import InvalidRequest, NotFound
from kelp.weights import default_cache, fetch
from predictors.model import Model

RUNTIMES_VARIABLE = "KELP_RUNTIMES"
"""Families of one's own: `name=module:factory`, several with commas. They win over Kelp's."""

_RUNTIMES = {
    "coralscop": "predictors.coralscop:create",
    "grid": "predictors.grid:create",
    "lama": "predictors.lama:create",
    "yolo": "predictors.yolo:create",
}
Factory = Callable[[Card, Mapping[str, Path]], Model]


def make_model(card: Card, cache: Path | None = None) -> Model:
    """The card's model, not loaded yet; its weights fetched into `cache` (the user's own by default) and verified.

    Raises WeightsError for weights that are not to be had or not what the card says, and as `factory_of`.
    """
    factory = factory_of(card.runtime)
    return factory(card, fetch(card, cache or default_cache()))


def runtimes() -> dict[str, str]:
    """name → `module:factory`, those of the environment included. InvalidRequest where that cannot be read."""
    found = dict(_RUNTIMES)
    for entry in filter(None, (part.strip() for part in os.environ.get(RUNTIMES_VARIABLE, "").split(","))):
        name, equals, target = entry.partition("=")
        if not (equals and name and target.count(":") == 1):
            raise InvalidRequest(f"{RUNTIMES_VARIABLE}: expected name=module:factory, got {entry!r}")
        found[name] = target
    return found


def factory_of(runtime: str) -> Factory:
    """What makes models of `runtime`: factory(card, files).

    NotFound names the runtimes that there are; InvalidRequest names a module or factory that cannot be had.
    """
    known = runtimes()
    if runtime not in known:
        raise NotFound(f"no runtime '{runtime}'; there are: {', '.join(sorted(known))}", code="unknown_runtime")
    module_name, _, attribute = known[runtime].partition(":")
    try:
        factory: Factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidRequest(
            f"runtime '{runtime}' ({known[runtime]}): {error}", code="runtime_not_installed"
        ) from error
    return factory
