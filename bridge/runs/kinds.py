"""The kinds of run, and what each is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from bridge.detect.run import Detection
from bridge.runs.reins import Reins
from bridge.runs.services import Live, Services
from bridge.store.claims import Claim
from bridge.tasks.run import Making


class Work(Protocol):
    """One claimed run, as the workflow goes through it. Each step may be repeated, after a crash from its beginning."""

    reins: Reins
    steps: Sequence[tuple[str, Callable[[], Awaitable[None]]]]
    """Name and function of each, in order. RunEnds ends the run there."""

    async def verdict(self) -> tuple[str, str | None]:
        """State and reason at the end of all steps."""

    async def give_up(self) -> str:
        """The run ends as failed or cancelled: take away what must not stay half done. What becomes of what was done,
        for people."""

    async def why_failed(self, error: BaseException) -> str:
        """What ended a step, for people."""

    def reset(self) -> None:
        """Before a step is tried again."""

    async def close(self) -> None: ...


def open_work(services: Services, live: Live, claim: Claim, row: Any) -> Work:
    """What is to be done for a claimed run, `row` of the table."""
    if row.kind == "detect":
        return Detection(services, live, claim, row)
    return Making(services, live, claim, row)
