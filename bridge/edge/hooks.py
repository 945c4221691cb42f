"""What differs between the webhooks: their path, their parameters, the events they act on, and the runs they make."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, Protocol

from bridge.events.key import delivery_key
from bridge.events.parameters import DetectParameters, parse_query
from bridge.events.paths import DETECT_PATH, TASK_PATHS
from bridge.events.payload import Event, Ignored, Ping, read_payload
from bridge.events.task_parameters import TASK_KINDS, TaskKind, TaskParameters, parse_task_query
from bridge.events.task_payload import read_task_payload
from bridge.models.catalog import Catalog
from bridge.runs.limits import BATCH, INTERACTIVE
from bridge.store.intake import NewRun
from kelp import tracing


class Hook(Protocol):
    """One webhook. Its parameters are whatever `parse` makes of a query."""

    kind: str
    path: str

    def parse(self, query: bytes | str) -> Any:
        """InvalidRequest where it cannot be meant."""

    def read(self, payload: Any) -> Event | Ping | Ignored:
        """The meaning of a decoded body. InvalidRequest where it is no delivery of CVAT's."""

    async def check(self, parameters: Any) -> None:
        """InvalidRequest or NotFound where it is certain that nothing can come of them."""

    def run(self, event: Event, parameters: Any) -> NewRun:
        """The run that `event` asks for."""


class DetectHook:
    """A job is annotated by a model."""

    kind = "detect"
    path = DETECT_PATH

    def __init__(self, catalog: Catalog, instance: str) -> None:
        self._catalog = catalog
        self._instance = instance
        # CVAT sends the same few queries over and over.
        self._parse = lru_cache(maxsize=256)(parse_query)

    def parse(self, query: bytes | str) -> DetectParameters:
        return self._parse(query, self._catalog.own_settings)

    def read(self, payload: Any) -> Event | Ping | Ignored:
        return read_payload(payload)

    async def check(self, parameters: DetectParameters) -> None:
        await self._catalog.check(parameters)

    def run(self, event: Event, parameters: DetectParameters) -> NewRun:
        (cause,) = event.triggers
        return NewRun(
            id=delivery_key(self._instance, self.path, event, parameters),
            kind=self.kind,
            # Jobs that are annotated as they are created come by the dozen, and nobody sits before them yet.
            priority=BATCH if cause == "created" else INTERACTIVE,
            instance=self._instance,
            project_id=event.project_id,
            task_id=event.task_id,
            job_id=event.object_id,
            model=parameters.model,
            parameters=parameters.canonical,
            event=event.name,
            cause=cause,
            caused_by=event.sender,
            created_at=time.time(),
            trace=tracing.traceparent(),
        )


class TaskHook:
    """A task is made from a task."""

    def __init__(self, kind: TaskKind, catalog: Catalog, instance: str) -> None:
        self.kind: str = kind
        self.path = TASK_PATHS[kind]
        self._task_kind = kind
        self._catalog = catalog
        self._instance = instance
        self._parse = lru_cache(maxsize=256)(parse_task_query)

    def parse(self, query: bytes | str) -> TaskParameters:
        return self._parse(self._task_kind, query)

    def read(self, payload: Any) -> Event | Ping | Ignored:
        return read_task_payload(payload)

    async def check(self, parameters: TaskParameters) -> None:
        if parameters.model:
            await self._catalog.check_model(parameters.model, self.kind)

    def run(self, event: Event, parameters: TaskParameters) -> NewRun:
        (cause,) = event.triggers
        return NewRun(
            id=delivery_key(self._instance, self.path, event, parameters),
            kind=self.kind,
            priority=BATCH,
            instance=self._instance,
            project_id=event.project_id,
            task_id=event.task_id,
            job_id=0,
            target_id=parameters.target,
            model=parameters.model,
            parameters=parameters.canonical,
            event=event.name,
            cause=cause,
            caused_by=event.sender,
            created_at=time.time(),
            trace=tracing.traceparent(),
        )


def all_hooks(catalog: Catalog, instance: str) -> list[Hook]:
    """Every webhook that the bridge has."""
    tasks: list[Hook] = [TaskHook(kind, catalog, instance) for kind in TASK_KINDS]
    return [DetectHook(catalog, instance), *tasks]
