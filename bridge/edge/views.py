"""Runs as JSON."""

from __future__ import annotations

import datetime
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from bridge.store.tables import FINISHED


class Target(BaseModel):
    """project: in which the new task is made; task: its id, once it is there; url: of it in CVAT."""

    project: int
    task: int | None
    url: str | None


class RunView(BaseModel):
    """A run. Times are ISO 8601 in UTC."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    kind: str
    state: str = Field(
        description="queued, running, waiting, completed, completed_with_errors, failed, cancelled, skipped"
    )
    reason: str | None = Field(description="why it failed, was skipped, or ended with errors")
    message: str | None = Field(description="what it is doing or waiting for")
    model: str = Field(description="empty: it needs none")
    job: int | None = Field(description="null: it is on the whole task")
    task: int | None
    project: int | None
    target: Target | None = Field(description="of a run that makes a task: what and where")
    batch: str | None
    event: str
    cause: str
    caused_by: str
    attempt: int
    parameters: dict[str, Any]
    details: dict[str, Any] = Field(description="what it was made with, and what was counted on the way")
    frames: dict[str, int | None] = Field(description="total, done, set_aside")
    shapes: dict[str, int] = Field(
        description="found; written; kept: there already from an earlier run of the model, and found again"
    )
    cold_start_s: float | None = Field(description="how long its model took to start; null: it was awake")
    created_at: str
    started_at: str | None
    finished_at: str | None
    url: str


class FrameView(BaseModel):
    """A frame of a run. scores: of its shapes, in the order in which they were created."""

    frame: int
    state: str = Field(description="done, set_aside")
    shapes: int
    scores: list[float]
    error: str | None


def run_view(row: Any, base: str = "") -> RunView:
    details = orjson.loads(row.details) if row.details else {}
    kept = details.get("shapes_kept", 0)
    return RunView(
        id=row.id,
        kind=row.kind,
        state=row.state,
        reason=row.reason,
        message=row.message,
        model=row.model,
        job=row.job_id or None,
        task=row.task_id,
        project=row.project_id,
        target=_target(row, details),
        batch=row.batch,
        event=row.event,
        cause=row.cause,
        caused_by=row.caused_by,
        attempt=row.attempt,
        parameters=orjson.loads(row.parameters),
        details=details,
        frames={"total": row.frames_total, "done": row.frames_done, "set_aside": row.frames_failed},
        shapes={"found": row.shapes_found, "written": row.shapes_written, "kept": kept},
        cold_start_s=details.get("cold_start_s"),
        created_at=iso(row.created_at) or "",
        started_at=iso(row.started_at),
        finished_at=iso(row.finished_at),
        url=f"{base}/api/v1/runs/{row.id}",
    )


def _target(row: Any, details: dict[str, Any]) -> Target | None:
    if row.target_id is None:
        return None
    task = details.get("output")
    return Target(project=row.target_id, task=task, url=f"{row.instance}/tasks/{task}" if task else None)


def is_finished(view: RunView) -> bool:
    return view.state in FINISHED


def iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
