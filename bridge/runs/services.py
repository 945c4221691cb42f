"""What every run of this process shares."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bridge.cvat.client import Cvat
from bridge.models.catalog import Catalog
from bridge.models.source import Models
from bridge.settings import BridgeSettings
from bridge.store.claims import Claim
from bridge.store.database import Database
from bridge.store.intake import Intake


@dataclass(frozen=True, slots=True)
class Patience:
    """Times that nobody sets but tests. tries_s: how long a step is tried again while somebody does not answer;
    pause_s, longest_pause_s: between two tries; grace_s: see `Desk`; flush_s: how long found shapes may wait for
    company before they are written."""

    tries_s: float = 900.0
    pause_s: float = 1.0
    longest_pause_s: float = 60.0
    grace_s: float = 1.0
    flush_s: float = 5.0
    cancel_s: float = 1.0


@dataclass(slots=True)
class Live:
    """A run that this process works on. halt: set when it must stop; cancelled: because somebody asked for it;
    waiting: for somebody else, its model above all."""

    halt: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    waiting: bool = False


@dataclass(slots=True)
class Services:
    settings: BridgeSettings
    database: Database
    intake: Intake
    cvat: Cvat
    models: Models
    catalog: Catalog
    executor: str
    patience: Patience = Patience()
    lease_until: float = float("inf")
    """Until when (monotonic) this process may act for its runs: later, others may have taken them over."""
    stopping: bool = False
    live: dict[Claim, Live] = field(default_factory=dict)
    dropped: set[Claim] = field(default_factory=set)
    """Claims that this process let go of in the middle, for fear that others have them."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no run is live."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is a new run, or a place for one."""

    def __post_init__(self) -> None:
        self.idle.set()

    def enter(self, claim: Claim) -> Live:
        self.idle.clear()
        self.live[claim] = live = Live()
        return live

    def leave(self, claim: Claim) -> None:
        self.live.pop(claim, None)
        self.news.set()
        if not self.live:
            self.idle.set()

    @property
    def working(self) -> int:
        """How many live runs take a place."""
        return sum(not run.waiting for run in self.live.values())

    def stop(self) -> None:
        """Let every run stop where it may."""
        self.stopping = True
        for run in self.live.values():
            run.halt.set()

    def cancel(self, run_id: str) -> None:
        """Somebody asked this run to stop; no matter if it is not here."""
        for claim, run in self.live.items():
            if claim.run_id == run_id:
                run.cancelled = True
                run.halt.set()

    def lose_claims(self) -> None:
        """Others have taken over every run of this process."""
        self.lease_until = float("-inf")
        for run in self.live.values():
            run.halt.set()
