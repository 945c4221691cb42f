"""The list of models, kept fresh, and what was ever in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import sqlalchemy as sa

from bridge import log
from bridge.events.label_names import with_labels_of
from bridge.events.parameters import DetectParameters
from bridge.models.card import START_TIMEOUT_S, ModelCard
from bridge.models.source import Models
from bridge.models.suited import unsuited
from bridge.store.bulk import insert_many
from bridge.store.database import Database
from bridge.store.tables import models as seen_models
from kelp.errors import InvalidRequest, KelpError, NotFound

REFRESH_SECONDS = 15.0
FRESH_SECONDS = 60.0
CARD_SECONDS = 5.0
# Changes of a model come in bursts.
SETTLE_SECONDS = 0.5
# A webhook for an unknown model waits so long for a newer list, and no longer: CVAT has one worker for everybody.
LOOK_AGAIN_S = 2.0
# A list that was asked for so lately is not asked for again, whether it came or not.
JUST_NOW_S = 2.0


class Catalog:
    """`run` keeps it fresh. `names`: the models there are now; `known`: those there ever were."""

    def __init__(self, models: Models, database: Database) -> None:
        self._models = models
        self._database = database
        self._refreshed_at = self._tried_at = self._asked_at = float("-inf")
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

    def notes(self) -> list[str]:
        """What somebody should know about the models."""
        return self._models.notes()

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
            await asyncio.sleep(SETTLE_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._models.changed(), REFRESH_SECONDS)
                self._cards = {name: (float("-inf"), card) for name, (_, card) in self._cards.items()}

    async def refresh(self, *, sure: bool = False) -> None:
        """Read the list now; callers at the same moment share a request. Never raises: `problem` says what is wrong.

        `sure`: see `Models.listing`.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh(sure))
        await asyncio.shield(self._refreshing)

    async def check(self, parameters: DetectParameters) -> None:
        """What `check_model` says, and InvalidRequest for labels that the model's card does not list; only while the
        list is fresh. Anything else is given its chance, and its run judges.
        """
        await self.check_model(parameters.model, "detect")
        if parameters.label_map or parameters.labels is not None:
            await self._check_labels(parameters)

    async def _check_labels(self, parameters: DetectParameters) -> None:
        _, card = self._cards.get(parameters.model, (0.0, None))
        if card is not None and (not card.labels or _fits(card, parameters)):
            return
        card = await self._card_of_now(parameters.model)
        if card is not None and card.labels:
            with_labels_of(card.labels, parameters)

    async def check_model(self, model: str, kind: str) -> None:
        """NotFound for a model that was never seen, InvalidRequest for one whose card says that it can do no run of
        `kind`; both only while the list is fresh.
        """
        await self._check_name(model)
        _, card = self._cards.get(model, (0.0, None))
        if card is None or unsuited(card, kind) is None:
            return  # one that could not be read with the list is not waited for: the run judges
        card = await self._card_of_now(model)
        if card is not None and (reason := unsuited(card, kind)) is not None:
            others = [other.name for other in self.cards if other.task is not None and unsuited(other, kind) is None]
            raise InvalidRequest(f"{reason}; models that do: {', '.join(others) or 'none'}", code="unsuited_model")

    async def _card_of_now(self, model: str) -> ModelCard | None:
        """What a refusal may go by: as that is final, it is the card of now, or none at all."""
        if not self.is_fresh or self.problem is not None:
            return None
        try:
            return await asyncio.wait_for(self.card(model), LOOK_AGAIN_S)
        except (KelpError, TimeoutError):
            return None

    async def _check_name(self, model: str) -> None:
        if model in self.known:
            return
        never = self._tried_at == float("-inf")
        # While the endpoint is away nobody waits for it: the list is asked for in the background.
        if never or (self.is_fresh and time.monotonic() - self._asked_at > JUST_NOW_S):
            self._asked_at = time.monotonic()
            try:
                await asyncio.wait_for(asyncio.shield(self.refresh(sure=True)), LOOK_AGAIN_S)
            except TimeoutError:
                return
        # What could not be asked for just now may be there.
        if model in self.known or not self.is_fresh or self.problem is not None:
            return
        there = ", ".join(sorted(self.names)) or "none"
        raise NotFound(f"no model '{model}'; there are: {there}", code="no_such_model")

    async def card(self, model: str) -> ModelCard:
        """The model's card, a few seconds old at most. NotFound where there is no such model."""
        read_at, card = self._cards.get(model, (float("-inf"), None))
        if card is None or time.monotonic() - read_at > CARD_SECONDS:
            card = await self._models.card(model)
            self._cards[model] = time.monotonic(), card
        return card

    @property
    def cards(self) -> list[ModelCard]:
        """The cards of the models that there are now, as far as they were read, by name."""
        return [card for name, (_, card) in sorted(self._cards.items()) if name in self.names]

    def start_timeout_s(self, model: str) -> float:
        """How long the model's start may take, by the card that it had when it was last there."""
        _, card = self._cards.get(model, (0.0, None))
        return START_TIMEOUT_S if card is None else card.start_timeout_s

    async def _refresh(self, sure: bool) -> None:
        try:
            listing = await self._models.listing(sure=sure)
        except KelpError as error:
            self._tried_at = time.monotonic()
            self._tell(error.message)
            return
        names = listing.names
        # Labels that a card leaves to the weights are learned by a run: such a card is read again and again.
        complete = {name for name, (_, card) in self._cards.items() if card.labels}
        for name in names - complete:
            with contextlib.suppress(KelpError):  # one that cannot tell about itself hides no other
                await self.card(name)
        self._own_settings = frozenset(name for _, card in self._cards.values() for name in card.settings)
        if new := names - self.known:
            rows = [(name, time.time()) for name in sorted(new)]
            await self._database.write(lambda c: insert_many(c, seen_models, rows))
        self.names = names
        self.known |= names
        self._tried_at = time.monotonic()
        self._tell(listing.problem)
        if listing.problem is None:
            self._refreshed_at = self._tried_at

    def _tell(self, problem: str | None) -> None:
        if problem is not None and self.problem is None:
            log.event("models_unknown", level=logging.WARNING, problem=problem)
        self.problem = problem


def _fits(card: ModelCard, parameters: DetectParameters) -> bool:
    try:
        with_labels_of(card.labels, parameters)
    except InvalidRequest:
        return False
    return True
