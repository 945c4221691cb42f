"""Who holds how much of the budget. Models look for room one after another, in the order of asking."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from kelp.errors import NotReady
from kelp.local.budget import PATIENCE_S, Budget, Cost, Occupant, plan_room


class Holder(Protocol):
    """A model, as the budget sees it."""

    @property
    def name(self) -> str: ...
    @property
    def cost(self) -> Cost: ...
    @property
    def kept(self) -> bool: ...
    def idle_s(self) -> float | None: ...
    async def fall_asleep(self, why: str) -> None: ...


class OverBudget(NotReady):
    """A model that does not fit even alone."""

    default_code = "over_budget"


class Rooms:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._holders: dict[str, Holder] = {}
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    def check(self, name: str, cost: Cost) -> None:
        """OverBudget if `cost` alone is more than there is."""
        if not self._budget.holds(cost):
            raise OverBudget(f"model '{name}' needs {self._budget.short_of(cost)} (KELP_BUDGET)")

    def check_together(self, kept: list[tuple[str, Cost]]) -> None:
        """OverBudget if those that are always awake are more than there is."""
        total = sum((cost for _, cost in kept), Cost())
        if not self._budget.holds(total):
            names = ", ".join(f"'{name}'" for name, _ in kept)
            raise OverBudget(f"{names}, kept awake by scale.min, need {self._budget.short_of(total)} (KELP_BUDGET)")

    async def enter(self, holder: Holder) -> None:
        """Wait until `holder` fits; idle ones, the least recently used first, are put to sleep for it."""
        self.check(holder.name, holder.cost)
        async with self._turn:
            clock = asyncio.get_running_loop().time
            since = clock()
            while True:
                waited = clock() - since
                plan = plan_room(holder.cost, self._occupants(), self._budget, waited_s=waited)
                if plan.fits and not plan.evict:
                    self._holders[holder.name] = holder
                    return
                if plan.fits:
                    why = f"'{holder.name}' needs its room"
                    await asyncio.gather(*(self._holders[name].fall_asleep(why) for name in plan.evict))
                    continue
                self._changed.clear()
                pauses = [plan.look_again_s, PATIENCE_S - waited if waited < PATIENCE_S else None]
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min((p for p in pauses if p is not None), default=None)):
                        await self._changed.wait()

    def leave(self, name: str) -> None:
        """What `name` held is free again."""
        self._holders.pop(name, None)
        self._changed.set()

    def changed(self) -> None:
        """Somebody has become idle: whoever looks for room looks again."""
        self._changed.set()

    def busy(self) -> list[str]:
        """Names of those that hold something and are not idle."""
        return sorted(name for name, holder in self._holders.items() if holder.idle_s() is None)

    def _occupants(self) -> list[Occupant]:
        return [Occupant(h.name, h.cost, h.idle_s(), h.kept) for h in self._holders.values()]
