"""The delivery key: two deliveries with the same key are the same happening, and become the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Protocol

from bridge.events.payload import Event


class Normalised(Protocol):
    """Parameters of a webhook."""

    @property
    def canonical(self) -> str:
        """Their normal form: the same for all that mean the same."""


def delivery_key(instance: str, path: str, event: Event, parameters: Normalised) -> str:
    """32 hex digits, also the run's id.

    Made of content only, never of bytes or of the webhook's id: a redelivery comes with another order of keys and
    another signature, and two equal webhooks can exist. The object's `updated_date` tells a second start of a job
    from a repeated delivery of the first.
    """
    parts = [
        instance, event.organization, event.name, event.object_id, event.old, event.new, event.updated_date, path,
        parameters.canonical,
    ]  # fmt: skip
    return _digest(parts)


def manual_key(instance: str, object_id: int, updated_date: str, parameters: Normalised, again: str = "") -> str:
    """The same for a run started by hand: asking twice for an unchanged job (or task, as the parameters say) is one
    run; `again` makes another."""
    return _digest([instance, "manual", object_id, updated_date, parameters.canonical, again])


def _digest(parts: Sequence[object]) -> str:
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
