"""Label names that cards leave to the weights: learned from a model that is awake, kept by the weights' sha256."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from bridge.store import facts
from bridge.store.database import Database
from kelp.card import Card, Label
from kelp.client.async_calls import AsyncCalls
from kelp.errors import KelpError


class Labels:
    """`kelp up` learns them in the same way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, list[Label]] = {}

    async def of(self, card: Card) -> list[Label]:
        """The card's own, else what is known of its weights; empty until they were awake once."""
        if card.labels:
            return list(card.labels)
        key = _key(card)
        if key not in self._known:
            stored = await self._database.read(partial(facts.get, name=key))
            if stored is None:
                return []
            self._known[key] = [Label.model_validate(label) for label in orjson.loads(stored)]
        return self._known[key]

    async def learn(self, card: Card, client: AsyncCalls) -> None:
        """Ask the model, which is ready."""
        if await self.of(card):
            return
        try:
            metadata = await client.metadata(card.model_name)
            told: list[Any] = metadata["parameters"]["card"]["labels"]
            labels = [Label.model_validate(label) for label in told]
        except (KelpError, KeyError, TypeError, ValueError):
            return  # a server that knows no cards; its answers name the labels
        if labels:
            self._known[_key(card)] = labels
            text = orjson.dumps([label.model_dump(mode="json", exclude_none=True) for label in labels]).decode()
            await self._database.write(partial(facts.put, name=_key(card), value=text))


def _key(card: Card) -> str:
    weights = card.weights.by_role().get("model")
    return f"labels:{weights.sha256 if weights and weights.sha256 else card.model_name}"
