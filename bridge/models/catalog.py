"""The list of models, kept fresh, and what was ever in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bridge import log
from bridge.store.bulk import insert_many
from bridge.store.database import Database
from bridge.store.tables import models as seen_models
from kelp.client import AsyncClient
from kelp.errors import KelpError, NotFound

REFRESH_SECONDS = 15.0
FRESH_SECONDS = 60.0
CARD_SECONDS = 5.0
START_TIMEOUT_S = 600.0
# A webhook for an unknown model waits so long for a newer list, and no longer: CVAT has one worker for everybody.
LOOK_AGAIN_S = 2.0
# A list that was asked for so lately is not asked for again, whether it came or not.
JUST_NOW_S = 2.0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model's public card. name: with its version; base: without; sha256: of the weights, by role."""

    name: str
    base: str
    version: str | None = None
    task: str | None = None
    labels: tuple[str, ...] = ()
    points: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    sha256: Mapping[str, str | None] = field(default_factory=dict)
    start_timeout_s: float = START_TIMEOUT_S
    title: str = ""

    @classmethod
    def of(cls, name: str, metadata: Mapping[str, Any]) -> ModelCard:
        """From V2's metadata; a server that knows no cards leaves everything but the name open."""
        card = (metadata.get("parameters") or {}).get("card") or {}
        version = card.get("version") or None
        labels = card.get("labels") or []
        return cls(
            name=name,
            base=name.removesuffix(f"-{version}") if version else name,
            version=version,
            task=card.get("task"),
            labels=tuple(label["name"] for label in labels),
            points={label["name"]: tuple(s["name"] for s in label.get("sublabels") or ()) for label in labels},
            settings=card.get("settings") or {},
            sha256=card.get("sha256") or {},
            start_timeout_s=float(card.get("start_timeout") or START_TIMEOUT_S),
            title=card.get("title") or "",
        )


class Catalog:
    """`run` keeps it fresh. `names`: what the endpoint lists now; `known`: what it ever listed."""

    def __init__(self, client: AsyncClient, database: Database) -> None:
        self._client = client
        self._database = database
        self._refreshed_at = self._tried_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self.names: frozenset[str] = frozenset()
        self.known: frozenset[str] = frozenset()
        self._own_settings: frozenset[str] = frozenset()
        self._cards: dict[str, tuple[float, ModelCard]] = {}
        self.problem: str | None = "the list of models was not read yet"

    async def load(self) -> None:
        """Take over what was known before."""
        names = await self._database.read(lambda c: list(c.scalars(sa.select(seen_models.c.name))))
        self.known = frozenset(names)

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self._refreshed_at < FRESH_SECONDS

    @property
    def own_settings(self) -> frozenset[str] | None:
        """Settings that models declare beyond the common table; None while nobody can say which there are."""
        return self._own_settings if self.is_fresh and self._cards.keys() >= self.names else None

    async def run(self) -> None:
        """Refresh for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Read the list now; callers at the same moment share a request. Never raises: `problem` says what is wrong."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        await asyncio.shield(self._refreshing)

    async def check(self, model: str) -> None:
        """NotFound for a model that was never seen, while the list is fresh; anything else is given its chance."""
        if model in self.known:
            return
        never = self._tried_at == float("-inf")
        # While the endpoint is away nobody waits for it: the list is asked for in the background.
        if never or (self.is_fresh and time.monotonic() - self._tried_at > JUST_NOW_S):
            try:
                await asyncio.wait_for(asyncio.shield(self.refresh()), LOOK_AGAIN_S)
            except TimeoutError:
                return
        if model in self.known or not self.is_fresh:
            return
        there = ", ".join(sorted(self.names)) or "none"
        raise NotFound(f"no model '{model}'; there are: {there}", code="no_such_model")

    async def card(self, model: str) -> ModelCard:
        """The model's card, a few seconds old at most. NotFound where there is no such model."""
        read_at, card = self._cards.get(model, (float("-inf"), None))
        if card is None or time.monotonic() - read_at > CARD_SECONDS:
            card = ModelCard.of(model, await self._client.metadata(model))
            self._cards[model] = time.monotonic(), card
        return card

    def start_timeout_s(self, model: str) -> float:
        """How long the model's start may take, by the card that it had when it was last there."""
        _, card = self._cards.get(model, (0.0, None))
        return START_TIMEOUT_S if card is None else card.start_timeout_s

    async def _refresh(self) -> None:
        try:
            names = frozenset(model.name for model in await self._client.models())
        except KelpError as error:
            self._tried_at = time.monotonic()
            if self.problem is None:
                log.event("models_unknown", level=logging.WARNING, error=error)
            self.problem = error.message
            return
        for name in names - self._cards.keys():
            with contextlib.suppress(KelpError):  # one that cannot tell about itself hides no other
                await self.card(name)
        self._own_settings = frozenset(name for _, card in self._cards.values() for name in card.settings)
        if new := names - self.known:
            rows = [(name, time.time()) for name in sorted(new)]
            await self._database.write(lambda c: insert_many(c, seen_models, rows))
        self.names = names
        self.known |= names
        self.problem = None
        self._refreshed_at = self._tried_at = time.monotonic()
