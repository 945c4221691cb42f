"""This process among the bridges of one database: its name, its heartbeats, and the runs of those that fell silent."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from functools import partial

import sqlalchemy as sa
from dbos import DBOS
from sqlalchemy import exc

from bridge import log, metrics
from bridge.runs import workflow
from bridge.runs.services import Services
from bridge.store import claims as claim_store
from bridge.store import executors
from bridge.store import runs as run_store
from bridge.store.claims import Claim, ClaimLost
from bridge.store.database import Database
from kelp.errors import KelpError

# SQLite's file is one process's alone, whatever the machine's name is today.
ALONE = "local"
MOST_OF_ONE_NAME = 64
# After a restart DBOS has taken up its workflows long before.
LOST_SECONDS = 15.0
# Its runs are to go on as soon as a bridge may be given up, not a beat later.
LOOK_SECONDS = 1.0


class Name:
    """The executor's name, held as long as this process lives: two processes of one name would do all work twice."""

    def __init__(self, database: Database, wanted: str) -> None:
        self._database = database
        self._wanted = wanted
        self._connection: sa.Connection | None = None
        self.value = ALONE
        if not database.is_sqlite:
            self.value = self._take(wanted)

    def is_still_held(self) -> bool:
        """Whether the lock survived; after the server restarted it is taken again. False: there is a new `value`."""
        if self._database.is_sqlite:
            return True
        if self._connection is not None:
            try:
                self._connection.scalar(sa.text("SELECT 1"))
                return True
            except exc.DBAPIError:
                self.release()
        before, self.value = self.value, self._take(self.value)
        return before == self.value

    def release(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # the lock goes with the connection
            self._connection.close()
            self._connection = None

    def _take(self, first: str) -> str:
        self._connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        others = (f"{self._wanted}-{number}" for number in range(2, MOST_OF_ONE_NAME))
        for name in (first, *others):
            key = {"name": f"kelp:executor-name:{name}"}
            if self._connection.scalar(sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))"), key):
                return name
        raise RuntimeError(f"{MOST_OF_ONE_NAME} bridges are called {self._wanted}")


class Membership:
    def __init__(self, services: Services, name: Name) -> None:
        self._services = services
        self._name = name
        self._nonce = uuid.uuid4().hex
        self._silent_s = services.settings.adopt_seconds
        self._missing: dict[Claim, float] = {}

    async def join(self) -> None:
        """Become known, and put runs of an older workflow version back into the queue."""
        sent = time.monotonic()
        await self._services.database.write(
            partial(executors.register, executor=self._services.executor, nonce=self._nonce)
        )
        self._renew(sent)
        outdated = await self._services.database.write(
            partial(executors.give_up, executor=self._services.executor, but_version=workflow.VERSION)
        )
        if outdated:
            log.event("outdated_runs_requeued", runs=len(outdated), version=workflow.VERSION)

    async def take_up_unstarted(self) -> None:
        """At start: runs that an earlier process of our name claimed and had not begun; the rest DBOS takes up."""
        ours = await self._services.database.read(partial(executors.active_claims, executor=self._services.executor))
        for claim in ours:
            if await DBOS.get_workflow_status_async(workflow.workflow_id(claim)) is None:
                await self._take_up(claim)

    async def run(self) -> None:
        """Heartbeats, adoption, cancel requests and lost workflows, for ever."""
        beats_s = min(5.0, self._silent_s / 6)
        looks_s = beats_s if self._services.database.is_sqlite else min(LOOK_SECONDS, beats_s)
        next_beat = next_look = next_check = 0.0
        while True:
            try:
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + beats_s
                    await self._beat()
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + looks_s
                    await self._adopt()
                await self._pass_on_cancels()
                if time.monotonic() >= next_check:
                    next_check = time.monotonic() + beats_s
                    await self._find_lost()
            except (KelpError, exc.DBAPIError) as error:
                log.event("membership_waits", level=logging.WARNING, error=error)
            await asyncio.sleep(min(self._services.patience.cancel_s, beats_s))

    async def leave(self) -> None:
        await self._services.database.write(
            partial(executors.leave, executor=self._services.executor, nonce=self._nonce), patience_s=2.0
        )

    def _renew(self, sent: float) -> None:
        # A little less than the others' patience: their clock starts when the beat reached the database.
        alone = self._services.database.is_sqlite
        self._services.lease_until = float("inf") if alone else sent + self._silent_s * 0.8

    async def _beat(self) -> None:
        if not await asyncio.to_thread(self._name.is_still_held):
            self._services.lose_claims()
            self._services.executor, self._nonce = self._name.value, uuid.uuid4().hex
            log.event("renamed", level=logging.WARNING, executor=self._name.value)
            await self.join()
            return
        sent = time.monotonic()
        beat = partial(executors.beat, executor=self._services.executor, nonce=self._nonce)
        if await self._services.database.write(beat, patience_s=self._silent_s):
            self._renew(sent)
            return
        log.event("given_up_by_others", level=logging.WARNING, executor=self._services.executor)
        self._services.lose_claims()
        await self.join()

    async def _adopt(self) -> None:
        adopted = await self._services.database.write(
            partial(executors.adopt, executor=self._services.executor, silent_s=self._silent_s)
        )
        for other, claims in adopted.items():
            log.event("adopted", executor=other, runs=len(claims))
            await self._forget_workflows(claims)

    async def _pass_on_cancels(self) -> None:
        if self._services.live:
            query = partial(executors.cancelled_runs, executor=self._services.executor)
            for run_id in await self._services.database.read(query):
                self._services.cancel(run_id)

    async def _find_lost(self) -> None:
        """Runs that are ours by the table and that no workflow works on go back into the queue."""
        services = self._services
        ours = set(
            await services.database.read(partial(executors.active_claims, executor=services.executor))
        ).difference(services.live)
        now = time.monotonic()
        self._missing = {claim: self._missing.get(claim, now) for claim in ours}
        dropped, services.dropped = services.dropped & ours, set()
        for claim in ours:
            # One that we let go of will not come back by itself; others DBOS may be about to take up.
            if claim in dropped or now - self._missing[claim] > LOST_SECONDS:
                await self._take_up(claim)

    async def _take_up(self, claim: Claim) -> None:
        name = workflow.workflow_id(claim)
        status = await DBOS.get_workflow_status_async(name)
        state = None if status is None else status.status
        log.event("lost_run", level=logging.WARNING, run=claim.run_id, workflow=state)
        if state == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
            await self._end(claim, f"the bridge stopped {workflow.MOST_CRASHES} times while it worked on this run")
        elif state == "ERROR":
            await self._end(claim, "internal error")
        else:
            await self._services.database.write(partial(_requeue, claim=claim))
            await self._forget_workflows([claim])
            self._services.news.set()

    async def _end(self, claim: Claim, reason: str) -> None:
        row = await self._services.database.read(partial(run_store.get, run_id=claim.run_id))
        await self._services.database.write(partial(run_store.finish, claim=claim, state="failed", reason=reason))
        metrics.RUNS_ENDED.labels(row.kind, "failed").inc()

    async def _forget_workflows(self, claims: list[Claim]) -> None:
        """Nobody takes up the old workflows: each run gets a new one that goes on from its stored shapes."""
        if claims:
            await DBOS.cancel_workflows_async([workflow.workflow_id(claim) for claim in claims])


def _requeue(connection: sa.Connection, claim: Claim) -> None:
    try:
        claim_store.check(connection, claim)
    except ClaimLost:
        return
    run_store.requeue(connection, [claim.run_id], "taken up again")
