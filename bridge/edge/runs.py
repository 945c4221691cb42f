"""`/api/v1/runs`: ask for runs, list, follow, retry and cancel them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from bridge.edge.views import FrameView, RunView, is_finished, run_view
from bridge.events.payload import MOST_ID
from bridge.runs import by_hand, tasks_by_hand
from bridge.runs.services import Services
from bridge.store import progress
from bridge.store import runs as store
from bridge.store.tables import STATES
from kelp.errors import InvalidRequest

Id = Annotated[int, Field(ge=1, le=MOST_ID)]
READ_PATIENCE_S = 5.0
EVENT_SECONDS = 0.5
MOST_FRAME = 2**31 - 1
# Proxies close a stream that is silent for a minute.
KEEP_ALIVE_SECONDS = 15.0


class NewRuns(BaseModel):
    """`detect`: a model, and exactly one of job, task and project. `crop`, `remove-grid`: a task, and the project of
    the new one."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    kind: Literal["detect", "crop", "remove-grid"] = "detect"
    model: str | None = Field(None, description="required to detect; to remove grids pth-lama where nothing is said")
    target: Id | None = Field(None, description="crop, remove-grid: the project in which the new task is made")
    dry_run: bool = Field(False, description="crop, remove-grid: say what would be done, and do nothing")
    job: Id | None = None
    task: Id | None = None
    project: Id | None = None
    parameters: dict[str, Any] = Field(
        {}, description="those of the webhook, without model_name, target_proj_id and on"
    )
    again: bool = Field(False, description="infer anew, or make another task, even if an equal run exists")
    caused_by: str = Field("", max_length=150, pattern=r"^[^\x00]*$")


class AskedRuns(BaseModel):
    runs: list[str]
    urls: list[str]
    batch: str | None
    skipped: dict[int, str] = Field(description="job → why it gets no run")
    found: dict[str, str] = Field(
        {},
        description="equal runs that were there already → the state they were in; those failed, cancelled or skipped "
        "are queued once more; cancelling: it is being stopped just now, ask again once it is",
    )
    would: dict[str, Any] | None = Field(None, description="answer to a dry run: what would be done, frame by frame")


class RunList(BaseModel):
    runs: list[RunView]
    next: str | None = Field(description="`page` of the next request; null at the end")


class FrameList(BaseModel):
    frames: list[FrameView]
    next: int | None = Field(description="`after` of the next request; null at the end")


class Again(BaseModel):
    model_config = ConfigDict(extra="forbid")

    again: bool = Field(False, description="infer anew instead of going on from the stored shapes")


def router(services: Services, on_new: Callable[[], None]) -> APIRouter:
    routes = APIRouter(prefix="/api/v1/runs", tags=["runs"])
    base = services.settings.public_url
    database = services.database

    async def view_of(run_id: str) -> RunView:
        return run_view(await database.read(partial(store.get, run_id=run_id), patience_s=READ_PATIENCE_S), base)

    @routes.post("", status_code=202, responses={200: {"description": "equal runs exist already"}})
    async def ask(new: NewRuns, response: Response) -> AskedRuns:
        """Annotate a job, or every job of a task or project; or make a task from a task."""
        if new.kind != "detect":
            if new.dry_run:
                response.status_code = 200
                would = await tasks_by_hand.preview(services, _task_request(new))
                return AskedRuns(runs=[], urls=[], batch=None, skipped={}, would=would)
            asked = await tasks_by_hand.ask(services, _task_request(new))
        else:
            asked = await by_hand.ask(services, _request(new))
        if asked.to_do:
            on_new()
        else:
            response.status_code = 200
        urls = [f"{base}/api/v1/runs/{run_id}" for run_id in asked.runs]
        return AskedRuns(
            runs=list(asked.runs), urls=urls, batch=asked.batch, skipped=dict(asked.skipped), found=dict(asked.found)
        )

    @routes.get("")
    async def find(
        state: str | None = None,
        model: str | None = None,
        job: Id | None = None,
        task: Id | None = None,
        project: Id | None = None,
        batch: str | None = None,
        page: str | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> RunList:
        """Runs, newest first."""
        if state is not None and state not in STATES:
            raise InvalidRequest(f"parameter 'state': expected one of {', '.join(STATES)}", code="invalid_parameter")
        filters = store.Filters(state, model, job, task, project, batch, _place(page), limit + 1)
        rows = await database.read(partial(store.find, filters=filters), patience_s=READ_PATIENCE_S)
        shown = rows[:limit]
        more = f"{shown[-1].created_at!r}:{shown[-1].id}" if len(rows) > limit else None
        return RunList(runs=[run_view(row, base) for row in shown], next=more)

    @routes.get("/{run_id}")
    async def get(run_id: str) -> RunView:
        """One run."""
        return await view_of(run_id)

    @routes.get("/{run_id}/frames")
    async def frames(
        run_id: str,
        after: Annotated[int, Query(ge=-1, le=MOST_FRAME)] = -1,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    ) -> FrameList:
        """Its frames that are done or set aside, in order."""
        await view_of(run_id)
        query = partial(progress.list_frames, run_id=run_id, after=after, limit=limit + 1)
        found = await database.read(query, patience_s=READ_PATIENCE_S)
        shown = [
            FrameView(
                frame=frame.frame,
                state="done" if frame.error is None else "set_aside",
                shapes=len(frame.scores),
                scores=frame.scores,
                error=frame.error,
            )
            for frame in found[:limit]
        ]
        return FrameList(frames=shown, next=shown[-1].frame if len(found) > limit else None)

    @routes.get("/{run_id}/events", response_class=StreamingResponse)
    async def events(run_id: str) -> StreamingResponse:
        """Server-sent events: `run` with the whole run whenever it changed, `end` with its last state."""
        first = await view_of(run_id)
        return StreamingResponse(
            _follow(services, first, view_of), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @routes.post("/{run_id}/retry", status_code=202)
    async def retry(run_id: str, how: Again | None = None) -> RunView:
        """Queue a finished run once more."""
        again = how is not None and how.again
        await database.write(partial(store.retry, run_id=run_id, again=again), patience_s=READ_PATIENCE_S)
        on_new()
        return await view_of(run_id)

    @routes.post("/{run_id}/cancel", status_code=202)
    async def cancel(run_id: str) -> RunView:
        """Stop a run after the chunk in hand; what is written stays."""
        await database.write(partial(store.cancel, run_id=run_id), patience_s=READ_PATIENCE_S)
        services.cancel(run_id)
        return await view_of(run_id)

    return routes


def _request(new: NewRuns) -> by_hand.Request:
    if new.model is None:
        raise InvalidRequest("parameter 'model' is required", code="missing_parameter")
    for name in ("target", "dry_run"):
        if getattr(new, name):
            raise InvalidRequest(f"'{name}' belongs to crop and remove-grid", code="invalid_parameter")
    rest = new.model_dump(include={"job", "task", "project", "parameters", "again", "caused_by"})
    return by_hand.Request(model=new.model, **rest)


def _task_request(new: NewRuns) -> tasks_by_hand.TaskRequest:
    if new.task is None or new.target is None or new.job is not None or new.project is not None:
        raise InvalidRequest(f"{new.kind}: expected a task and a target", code="invalid_parameter")
    if new.model is not None and new.kind == "crop":
        raise InvalidRequest("crop: no model is needed", code="invalid_parameter")
    assert new.kind != "detect"
    return tasks_by_hand.TaskRequest(
        new.kind, new.task, new.target, new.model, new.parameters, new.again, new.caused_by
    )


async def _follow(services: Services, view: RunView, view_of: Callable[[str], Any]) -> AsyncIterator[bytes]:
    yield _event("run", view)
    quiet = 0.0
    while not is_finished(view) and not services.stopping:
        await asyncio.sleep(EVENT_SECONDS)
        now = await view_of(view.id)
        quiet += EVENT_SECONDS
        if now != view:
            view, quiet = now, 0.0
            yield _event("run", view)
        elif quiet >= KEEP_ALIVE_SECONDS:
            quiet = 0.0
            yield b": still there\n\n"
    if is_finished(view):
        yield _event("end", view)


def _event(name: str, view: RunView) -> bytes:
    return f"event: {name}\ndata: {view.model_dump_json()}\n\n".encode()


def _place(page: str | None) -> tuple[float, str] | None:
    if page is None:
        return None
    created, _, run_id = page.partition(":")
    try:
        return float(created), run_id
    except ValueError:
        raise InvalidRequest(
            "parameter 'page': expected `next` of an earlier answer", code="invalid_parameter"
        ) from None
