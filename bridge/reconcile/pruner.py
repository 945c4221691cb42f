"""Keeps the database bounded: runs go after the retention time, the ledger of a job once CVAT has it no more."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

from dbos import DBOS

from bridge import log
from bridge.cvat.errors import CvatGone
from bridge.runs.services import Services
from bridge.store import facts, prune, workflows
from bridge.store.claims import Claim
from kelp.errors import KelpError

EVERY_SECONDS = 3600.0
# Of the ledger's jobs, so many are looked for in CVAT an hour, each once a day at most.
JOBS_AN_HOUR = 200
LOOK_AGAIN_SECONDS = 86400.0
# Between two portions others may write.
PAUSE_SECONDS = 0.05


class Pruner:
    def __init__(self, services: Services) -> None:
        self._services = services
        days = services.settings.retention_days
        self._retention_s = days * 86400.0
        self._every_s = min(EVERY_SECONDS, self._retention_s)

    async def run(self) -> None:
        """For ever; one bridge of all at a time."""
        turn = partial(facts.take_turn, name="prune", every_s=self._every_s)
        while True:
            try:
                if await self._services.database.write(turn):
                    await self.prune_runs()
                    await self.prune_ledger()
            except KelpError as error:
                log.event("pruner_waits", level=logging.WARNING, error=error)
            await asyncio.sleep(self._every_s)

    async def prune_runs(self) -> int:
        """Delete finished runs older than the retention time; how many."""
        database = self._services.database
        pruned = 0
        while claims := await database.read(partial(prune.old_runs, before=time.time() - self._retention_s)):
            # The workflow rows first: after a crash in between, the run is still there to find them by.
            await DBOS.delete_workflows_async(_workflows(claims))
            await database.write(partial(prune.delete_runs, claims=claims))
            await database.write(prune.shrink)
            await asyncio.to_thread(workflows.shrink, database.url)
            pruned += len(claims)
            await asyncio.sleep(PAUSE_SECONDS)
        if pruned:
            log.event("runs_pruned", runs=pruned)
        return pruned

    async def prune_ledger(self) -> int:
        """Drop the pages of jobs that CVAT has no more; how many."""
        services, instance = self._services, self._services.settings.instance
        before = time.time() - LOOK_AGAIN_SECONDS
        find = partial(prune.unseen_jobs, instance=instance, before=before, limit=JOBS_AN_HOUR)
        dropped = 0
        for job_id in await services.database.read(find):
            try:
                await services.cvat.job(job_id)
            except CvatGone:
                await services.database.write(partial(prune.drop_job, instance=instance, job_id=job_id))
                dropped += 1
            else:
                await services.database.write(partial(prune.mark_seen, instance=instance, job_id=job_id))
        return dropped


def _workflows(claims: list[Claim]) -> list[str]:
    """Every claim of a run had a workflow."""
    return [f"{claim.run_id}.{epoch}" for claim in claims for epoch in range(1, claim.epoch + 1)]
