"""Where a run that works must stop: the process drains, somebody cancelled it, or it is another process's now."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TypeVar

from bridge.runs.endings import Draining, RunEnds
from bridge.runs.services import Live, Services
from bridge.store import runs
from bridge.store.claims import Claim, ClaimLost

T = TypeVar("T")


class Reins:
    """Held by everything that a run does."""

    def __init__(self, services: Services, live: Live, claim: Claim) -> None:
        self._services = services
        self._live = live
        self._claim = claim

    async def go_on(self) -> None:
        """Return if the run may go on; else raise why not."""
        if self._services.stopping:
            raise Draining
        if time.monotonic() > self._services.lease_until:
            raise ClaimLost(self._claim.run_id)
        if self._live.cancelled:
            raise RunEnds("cancelled", "cancelled")

    async def pause(self, seconds: float) -> None:
        """Sleep, unless the run must stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._live.halt.wait(), seconds)
        await self.go_on()

    async def unless_halted(self, task: asyncio.Task[T]) -> T:
        """The task's result, or the reason to stop, whichever comes first; the task ends with it."""
        halted = asyncio.create_task(self._live.halt.wait())
        try:
            await asyncio.wait({task, halted}, return_when=asyncio.FIRST_COMPLETED)
            await self.go_on()
            return await task
        finally:
            halted.cancel()
            task.cancel()

    async def wait_for_others(self, message: str) -> None:
        """Say that the run waits, and for what; until `resume` it takes no place from others."""
        await self.go_on()
        self._live.waiting = True
        self._services.news.set()
        await self._mark("waiting", message)

    async def resume(self) -> None:
        """It waits no more."""
        if self._live.waiting:
            self._live.waiting = False
            await self._mark("running", None)

    async def _mark(self, state: str, message: str | None) -> None:
        change = partial(runs.mark_active, claim=self._claim, state=state, message=message)
        await self._services.database.write(change)
