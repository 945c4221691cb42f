"""Starts a run's model while its job is read, so that a cold start hides behind the reading."""

from __future__ import annotations

import asyncio
import contextlib
import time

from bridge import metrics
from bridge.models.card import ModelCard
from bridge.models.catalog import Catalog
from bridge.models.source import Models
from bridge.runs.endings import RunEnds
from bridge.runs.reins import Reins
from kelp.client import CANNOT_START
from kelp.errors import NotFound, NotReady

# A model that is ready within this was not asleep.
AWAKE_S = 0.2
TELL_SECONDS = 2.0


class Waking:
    def __init__(self, models: Models, catalog: Catalog, model: str, reins: Reins) -> None:
        self._models = models
        self._catalog = catalog
        self._model = model
        self._reins = reins
        self._card: ModelCard | None = None
        self._task: asyncio.Task[None] | None = None
        self.cold_start_s: float | None = None
        """How long the model took to be ready, from when this run asked for it; None where it was awake."""

    async def card(self) -> ModelCard:
        """The model's card. One that was there before may be being replaced: it is waited for as long as a start may
        take. RunEnds where there is no such model.
        """
        began = time.monotonic()
        while self._card is None:
            try:
                self._card = await self._catalog.card(self._model)
            except NotFound as error:
                waited = time.monotonic() - began
                if self._model not in self._catalog.known or waited > self._catalog.start_timeout_s(self._model):
                    why = f": {error.message}" if error.code == "no_card" else ""
                    raise RunEnds("failed", f"there is no model '{self._model}' (any more){why}") from None
                await self._reins.wait_for_others(f"waiting for {self._model} to be there again ({waited:.0f} s)")
                await self._reins.pause(TELL_SECONDS)
        return self._card

    def begin(self) -> None:
        """Wake the model, if that was not begun already."""
        if self._task is None:
            self._task = asyncio.create_task(self._wait_ready())
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def until_ready(self) -> None:
        """Return once the model is ready, the run saying that it waits. RunEnds if it does not start in its time."""
        self.begin()
        assert self._task is not None
        card = await self.card()
        began = time.monotonic()
        done, _ = await asyncio.wait({self._task}, timeout=AWAKE_S)
        while not done:
            waited = time.monotonic() - began
            why = f": {trouble}" if (trouble := self._models.trouble(card.name)) else ""
            await self._reins.wait_for_others(f"waiting for {card.name} to start ({waited:.0f} s){why}")
            done, _ = await asyncio.wait({self._task}, timeout=TELL_SECONDS)
        try:
            self._task.result()
        except NotFound as error:
            raise NotReady(f"{card.name} was taken away: {error.message}") from None  # tried again, card and all
        except NotReady as error:
            if error.code in CANNOT_START:
                raise RunEnds("failed", error.message) from None
            why = self._models.trouble(card.name) or error.message
            late = f"{card.name} did not start within {card.start_timeout_s:.0f} s: {why}"
            raise RunEnds("failed", late) from None
        await self._reins.resume()

    def reset(self) -> None:
        """Before a step is tried again: ask anew."""
        self._card = None
        if self._task is not None and self._task.done():
            self._task = None

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task

    async def _wait_ready(self) -> None:
        card = await self.card()
        began = time.monotonic()
        await self._models.wait_ready(self._model, timeout_s=card.start_timeout_s)
        seconds = time.monotonic() - began
        if seconds > AWAKE_S:
            self.cold_start_s = seconds
            metrics.COLD_START.labels(card.name).observe(seconds)
