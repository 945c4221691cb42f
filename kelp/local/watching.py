"""The folder of cards, looked at every second: what is put there is served, what is taken away is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from kelp.card.load import CardError
from kelp.errors import KelpError
from kelp.local.cards import CardFile, Folder, look_of, read_folder
from kelp.local.log import event
from kelp.local.supervisor import Supervisor

_PAUSE_S = 1.0


class FolderWatch:
    """on_read: called after each reading that was taken over, and after each that was refused."""

    def __init__(self, folder: Path, supervisor: Supervisor, on_read: Callable[[Folder], None]) -> None:
        self._folder = folder
        self._all = supervisor
        self._on_read = on_read
        # The first look always reads: a card may have changed while `kelp up` began.
        self._look: tuple[tuple[object, ...], ...] | None = None
        self._now = asyncio.Event()
        self._cards: dict[str, CardFile] = {}

    def begin(self, found: Folder) -> None:
        """What `kelp up` has begun with."""
        self._cards = found.cards
        self._on_read(found)

    def look_now(self) -> None:
        """Read the folder at once, changed or not."""
        self._look = None
        self._now.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                async with asyncio.timeout(_PAUSE_S):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            look = look_of(self._folder)
            if look == self._look:
                continue
            # A card that is being written is read when it has been so for one more look.
            await asyncio.sleep(_PAUSE_S / 10)
            if look_of(self._folder) != look:
                continue
            self._look = look
            await self._read()

    def look_again(self) -> None:
        """Now, if anything has changed: somebody asks for a model that is not known, perhaps of a card just written."""
        look = look_of(self._folder)
        if look == self._look:
            return
        self._look = look
        try:
            self._take(read_folder(self._folder))
        except CardError as error:
            event("cards_refused", level="error", error=str(error))

    async def _read(self) -> None:
        look = self._look
        try:
            found = await asyncio.to_thread(read_folder, self._folder)
        except CardError as error:
            event("cards_refused", level="error", error=str(error))
            return
        if self._look is look:  # else somebody has looked again meanwhile, and this is older
            self._take(found)

    def _take(self, found: Folder) -> None:
        for name, fault in found.faults.items():
            event("card_refused", level="error", file=name, error=fault)
        cards = {**self._kept(found), **found.cards}
        try:
            told = self._all.replace(cards)
        except KelpError as error:
            event("cards_refused", level="error", error=str(error))
            self._on_read(Folder(found.cards, found.read, dict.fromkeys(found.read, str(error))))
            return
        self._cards = cards
        for name, what in told.items():
            event(f"model_{what}", model=name)
        self._on_read(found)

    def _kept(self, found: Folder) -> dict[str, CardFile]:
        """A card that has become wrong does not end the model that it described."""
        wrong = {(self._folder / name).resolve() for name in found.faults}
        return {name: file for name, file in self._cards.items() if file.path in wrong}
