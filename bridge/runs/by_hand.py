"""Runs that somebody asks for: a job, or every job of a task or project; the same identity and locks as a webhook's."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bridge.cvat.errors import CvatGone, CvatRefused
from bridge.cvat.objects import Job
from bridge.detect.reading import refuse_unsuited, why_refused
from bridge.events.key import manual_key
from bridge.events.parameters import DetectParameters, parse_parameters
from bridge.runs.endings import RunEnds
from bridge.runs.limits import BATCH, INTERACTIVE
from bridge.runs.services import Services
from bridge.store import runs
from bridge.store.intake import PATIENCE_S, NewRun
from kelp import tracing
from kelp.errors import BadGateway, Conflict, Forbidden, InvalidRequest, NotFound

API_PATH = "/api/v1/runs"


@dataclass(frozen=True, slots=True)
class Request:
    """Exactly one of job, task and project. parameters: those of the webhook, without `model_name` and `on`.

    again: infer anew even if an equal run exists; caused_by: who asks.
    """

    model: str
    job: int | None = None
    task: int | None = None
    project: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False
    caused_by: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The runs that answer a request. skipped: job → why it gets none; found: of those that were there already, the
    state that each was in (`cancelling`: just being stopped); to_do: whether any of them was queued."""

    runs: Sequence[str]
    skipped: Mapping[int, str]
    batch: str | None
    found: Mapping[str, str]
    to_do: bool


async def ask(services: Services, request: Request) -> Asked:
    """Write the wanted runs down. InvalidRequest, NotFound and Forbidden say what cannot be asked for."""
    with tracing.span("runs by hand"):
        return await _asked(services, request)


async def _asked(services: Services, request: Request) -> Asked:
    parameters = _parameters(services, request)
    await services.catalog.check(parameters)
    try:
        jobs = await _jobs(services, request)
    except CvatGone:
        what, number = _asked_of(request)
        raise NotFound(f"{what} {number} is not in CVAT", code=f"no_such_{what}") from None
    except CvatRefused as error:
        raise refusal(error) from None
    batch = uuid.uuid4().hex if request.job is None else None
    skipped = {}
    wanted: list[NewRun] = []
    for job in jobs:
        try:
            refuse_unsuited(job)
        except RunEnds as end:
            skipped[job.id] = end.reason
        else:
            wanted.append(_run(services, request, job, parameters, batch))
    if not wanted:
        raise Conflict("; ".join(skipped.values()) or "there is no job to annotate", code="nothing_to_do")
    return await write_down(services, wanted, skipped, batch)


async def write_down(
    services: Services, wanted: Sequence[NewRun], skipped: Mapping[int, str], batch: str | None
) -> Asked:
    """Have the runs done. Equal ones that failed, or were cancelled or skipped, are taken up again as by a retry:
    unlike a delivery that comes twice, a person who asks again wants it done.
    """
    new = await asyncio.gather(*(services.intake.accept(run) for run in wanted))
    known = [run.id for run, is_new in zip(wanted, new, strict=True) if not is_new]
    found = await services.database.write(partial(runs.take_up, ids=known), patience_s=PATIENCE_S) if known else {}
    to_do = any(new) or not runs.UNDONE.isdisjoint(found.values())
    return Asked([run.id for run in wanted], skipped, batch, found, to_do)


def _parameters(services: Services, request: Request) -> DetectParameters:
    if wrong := {"on", "model_name"} & request.parameters.keys():
        raise InvalidRequest(f"parameter '{min(wrong)}' belongs to webhooks", code="unknown_parameter")
    pairs = [("model_name", request.model), *request.parameters.items()]
    return parse_parameters(pairs, services.catalog.own_settings)


async def _jobs(services: Services, request: Request) -> list[Job]:
    cvat = services.cvat
    what, number = _asked_of(request)
    if what == "job":
        return [await cvat.job(number)]
    jobs, look = (cvat.jobs_of_task, cvat.task) if what == "task" else (cvat.jobs_of_project, cvat.project)
    found = await jobs(number)
    if not found:
        await look(number)  # of one that is not there CVAT lists no jobs either
    return found


def _asked_of(request: Request) -> tuple[str, int]:
    given = {name: getattr(request, name) for name in ("job", "task", "project")}
    named = [(name, number) for name, number in given.items() if number is not None]
    if len(named) != 1:
        raise InvalidRequest("expected exactly one of job, task and project", code="invalid_parameter")
    return named[0]


def _run(services: Services, request: Request, job: Job, parameters: DetectParameters, batch: str | None) -> NewRun:
    instance = services.settings.instance
    again = uuid.uuid4().hex if request.again else ""
    return NewRun(
        id=manual_key(instance, job.id, job.updated_date, parameters, again),
        kind="detect",
        priority=INTERACTIVE if batch is None else BATCH,
        instance=instance,
        project_id=job.project_id,
        task_id=job.task_id,
        job_id=job.id,
        model=parameters.model,
        parameters=parameters.canonical,
        event="manual",
        cause="manual",
        caused_by=request.caused_by,
        created_at=time.time(),
        batch=batch,
        trace=tracing.traceparent(),
    )


def refusal(error: CvatRefused) -> Exception:
    """What the caller is told where CVAT said no."""
    if error.cvat_status in {401, 403}:
        return Forbidden(why_refused(error, "this"))
    return BadGateway(error.message)
