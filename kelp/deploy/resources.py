"""Kubernetes' requests and limits of a model's container."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from kelp.card import Card
from kelp.card.schema import Amounts, Resources
from kelp.errors import InvalidRequest

_UNITS: dict[str, Decimal] = {
    "": Decimal(1), "m": Decimal("0.001"),
    **{prefix: Decimal(10 ** (3 * i)) for i, prefix in enumerate("kMGT", 1)},
    **{f"{prefix}i": Decimal(2 ** (10 * i)) for i, prefix in enumerate("KMGT", 1)},
}  # fmt: skip


def container_resources(card: Card) -> dict[str, dict[str, str]]:
    """`requests` and `limits`, each with CPU, memory and, of both the same, GPUs.

    What a card leaves out of one has its default, but a default request never exceeds the limit. InvalidRequest where
    the card itself asks for more than it allows.
    """
    given, usual = card.resources, Resources()
    gpus = _gpus(card.model_name, given)
    found: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for name in ("cpu", "memory"):
        limit = getattr(given.limits, name) or getattr(usual.limits, name)
        request = getattr(given.requests, name)
        if "requests" not in given.model_fields_set or request is None:
            request = min(getattr(usual.requests, name), limit, key=amount)
        if amount(request) > amount(limit):
            raise InvalidRequest(
                f"{card.model_name}: resources: it requests {request} of {name}, and its limit is {limit}"
            )
        found["requests"][name], found["limits"][name] = request, limit
    for kind in found.values():
        kind.update(gpus)
    return found


def amount(quantity: str) -> Decimal:
    """`quantity` in cores or bytes."""
    digits = quantity.rstrip("kMGTim")
    return Decimal(digits) * _UNITS[quantity[len(digits) :]]


def _gpus(model: str, given: Resources) -> dict[str, str]:
    requests, limits = _extended(given.requests), _extended(given.limits)
    if requests and limits and requests != limits:
        raise InvalidRequest(f"{model}: resources: GPUs are requested as they are limited, or in one of the two only")
    return limits or requests


def _extended(amounts: Amounts) -> dict[str, Any]:
    found = {f"nvidia.com/mig-{profile}": str(count) for profile, count in sorted(amounts.mig.items())}
    if amounts.gpu is not None and amount(amounts.gpu) > 0:
        found["nvidia.com/gpu"] = amounts.gpu
    return found
