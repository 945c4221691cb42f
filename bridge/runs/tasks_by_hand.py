"""Tasks from tasks that somebody asks for: the same identity and locks as a webhook's, or only what would be done."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.cvat.errors import CvatGone, CvatRefused
from bridge.events.key import manual_key
from bridge.events.task_parameters import TaskKind, TaskParameters, parse_task_parameters
from bridge.runs.by_hand import Asked, refusal, write_down
from bridge.runs.endings import RunEnds
from bridge.runs.limits import BATCH
from bridge.runs.services import Services
from bridge.store.intake import NewRun
from bridge.store.outputs import Place
from bridge.tasks.mark import mark_of
from bridge.tasks.output import existing
from bridge.tasks.planning import make_plan
from kelp import tracing
from kelp.errors import InvalidRequest, NotFound


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """task, target: ids of the source task and of the new one's project; parameters: those of the webhook, without
    `target_proj_id`, `model_name` and `on`; again: make another task where there is one; caused_by: who asks.
    """

    kind: TaskKind
    task: int
    target: int
    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False
    caused_by: str = ""


async def ask(services: Services, request: TaskRequest) -> Asked:
    """Write the wanted run down. It need not wait until the task's jobs are completed: somebody wants it now."""
    with tracing.span(f"{request.kind} by hand"):
        parameters = await _parameters(services, request)
        task = await _read(services, request)
        instance = services.settings.instance
        run = NewRun(
            id=manual_key(instance, request.task, str(task.get("updated_date") or ""), parameters),
            kind=request.kind,
            priority=BATCH,
            instance=instance,
            project_id=task.get("project_id"),
            task_id=request.task,
            job_id=0,
            target_id=request.target,
            model=parameters.model,
            parameters=parameters.canonical,
            event="manual",
            cause="manual",
            caused_by=request.caused_by,
            created_at=time.time(),
            trace=tracing.traceparent(),
        )
        return await write_down(services, [run], {}, None)


async def preview(services: Services, request: TaskRequest) -> dict[str, Any]:
    """What a run would do, and how it would end if it could not: nothing is written down, made or woken."""
    parameters = await _parameters(services, request)
    await _read(services, request)
    would: dict[str, Any] = {"kind": request.kind, "task": request.task, "target": request.target}
    try:
        place = Place(services.settings.instance, mark_of(parameters, request.task))
        if (other := await existing(services, place)) is not None:
            raise RunEnds("skipped", f"task {other} exists")
        card = await services.catalog.card(parameters.model) if parameters.model else None
        plan = await make_plan(services.cvat, request.task, parameters, services.catalog.cards, card)
        would |= plan.preview()
        plan.refuse(skip_invalid=parameters.skip_invalid)
    except RunEnds as end:
        return would | {"state": end.state, "reason": end.reason}
    except CvatRefused as error:
        raise refusal(error) from None
    state = "completed_with_errors" if plan.left_out else "completed"
    return would | {"state": state, "reason": None}


async def _parameters(services: Services, request: TaskRequest) -> TaskParameters:
    if wrong := {"on", "model_name", "target_proj_id"} & request.parameters.keys():
        raise InvalidRequest(f"parameter '{min(wrong)}' belongs to webhooks", code="unknown_parameter")
    pairs = [("target_proj_id", request.target), *request.parameters.items()]
    if request.model is not None:
        pairs.append(("model_name", request.model))
    parameters = parse_task_parameters(request.kind, pairs, uuid.uuid4().hex if request.again else "")
    if parameters.model:
        await services.catalog.check_model(parameters.model, request.kind)
    return parameters


async def _read(services: Services, request: TaskRequest) -> dict[str, Any]:
    """The source task. NotFound where it, or the target, is not in CVAT."""
    try:
        task = await services.cvat.task(request.task)
    except CvatGone:
        raise NotFound(f"task {request.task} is not in CVAT", code="no_such_task") from None
    except CvatRefused as error:
        raise refusal(error) from None
    try:
        await services.cvat.project(request.target)
    except CvatGone:
        raise NotFound(f"project {request.target} is not in CVAT", code="no_such_project") from None
    except CvatRefused as error:
        raise refusal(error) from None
    return task
