"""A run as a DBOS workflow: a few steps, each repeatable; its arguments and results are ids and states only."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from dbos import DBOS, SetWorkflowID

from bridge import log, metrics
from bridge.log import boundary
from bridge.runs.endings import RunEnds, is_passing, reason_of
from bridge.runs.kinds import Work, open_work
from bridge.runs.services import Services
from bridge.runs.trace import RunTrace
from bridge.store import claims, runs
from bridge.store.claims import Claim, ClaimLost
from kelp.errors import KelpError

# Raised when the steps of any kind change: an unfinished run of another version starts anew from what is stored.
VERSION = "runs-2"
# A run that ends its process so often is not started again.
MOST_CRASHES = 25

_services: Services | None = None


def bind(services: Services | None) -> None:
    """Give the workflows of this process what they work with: DBOS calls them by name."""
    global _services
    _services = services


async def start(claim: Claim) -> None:
    """Begin a claimed run. Doing it twice starts it once."""
    with SetWorkflowID(workflow_id(claim)):
        await DBOS.start_workflow_async(run, claim.run_id, claim.epoch)


def workflow_id(claim: Claim) -> str:
    return f"{claim.run_id}.{claim.epoch}"


@DBOS.workflow(name="run", max_recovery_attempts=MOST_CRASHES)
async def run(run_id: str, epoch: int) -> str:
    assert _services is not None
    claim = Claim(run_id, epoch)
    if claim in _services.live:
        raise ClaimLost(run_id)
    services, live = _services, _services.enter(claim)
    work: Work | None = None
    kind = "detect"
    try:
        try:
            row = await services.database.write(partial(_take, claim=claim, executor=services.executor))
        except ClaimLost:  # for good: the run has ended or goes on under another claim, so nobody need recover this one
            return "lost"
        live.cancelled = bool(row.cancel)
        kind = row.kind
        work = open_work(services, live, claim, row)
        trace = RunTrace(row)
        ended: list[str | None] | None = None
        for name, step in work.steps:
            with trace.step(name):
                ended = await DBOS.run_step_async({"name": name}, _try_step, services, work, claim, name, step)
            boundary("step_done", run=run_id, step=name)
            if ended is not None:
                break
        state = await _finish(services, work, claim, ended)  # ends a run once, so it need be no step
        seconds = time.time() - (row.started_at or row.created_at)
        metrics.RUN_DURATION.labels(row.kind).observe(seconds)
        metrics.RUNS_ENDED.labels(row.kind, state).inc()
        trace.end(state)
        return state
    except ClaimLost:
        services.dropped.add(claim)
        raise
    except Exception as error:  # whatever it was, the run must not stay open: it would begin again for ever
        log.event("run_broke", level=logging.ERROR, run=run_id, error=error)
        await services.database.write(partial(runs.finish, claim=claim, state="failed", reason=reason_of(error)))
        metrics.RUNS_ENDED.labels(kind, "failed").inc()
        return "failed"
    finally:
        services.leave(claim)
        if work is not None:
            await work.close()


async def _try_step(
    services: Services, work: Work, claim: Claim, name: str, step: Callable[[], Awaitable[None]]
) -> list[str | None] | None:
    """Run `step`, again and again while somebody does not answer. None: done; [state, reason]: the run ends here."""
    patience = services.patience
    deadline = time.monotonic() + patience.tries_s
    pause = patience.pause_s
    while True:
        try:
            await step()
            return None
        except RunEnds as end:
            return [end.state, end.reason]
        except Exception as error:  # a run must end with a reason, whatever went wrong in it
            if not is_passing(error):
                level = logging.WARNING if isinstance(error, KelpError) else logging.ERROR
                log.event("step_failed", level=level, run=claim.run_id, step=name, error=error)
                return ["failed", await work.why_failed(error)]
            if time.monotonic() + pause > deadline:
                return ["failed", f"{reason_of(error)}; tried for {patience.tries_s:.0f} s"]
            log.event("step_repeated", level=logging.WARNING, run=claim.run_id, step=name, error=error)
            message = f"{reason_of(error)}; trying again"
        work.reset()
        try:
            await services.database.write(partial(runs.mark_active, claim=claim, state="running", message=message))
            await work.reins.pause(pause * random.uniform(0.8, 1.2))
        except RunEnds as end:
            return [end.state, end.reason]
        pause = min(pause * 2, patience.longest_pause_s)


async def _finish(services: Services, work: Work, claim: Claim, ended: list[str | None] | None) -> str:
    state, reason = ended if ended is not None else await work.verdict()
    assert state is not None
    if state in {"failed", "cancelled"}:
        left = await work.give_up()
        if state == "cancelled":
            reason = f"{reason}; {left}"
    await services.database.write(partial(runs.finish, claim=claim, state=state, reason=reason))
    log.event("run_ended", run=claim.run_id, state=state, reason=reason)
    boundary("run_ended", run=claim.run_id)
    return state


def _take(connection: Any, claim: Claim, executor: str) -> Any:
    """The claimed run, now this process's: after a crash DBOS may give it to another than before."""
    claims.update(connection, claim, executor=executor)
    return claims.check(connection, claim)
