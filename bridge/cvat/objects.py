"""CVAT's objects, as far as a run reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """start_frame, stop_frame: the task's own numbers, both inclusive."""

    id: int
    task_id: int
    project_id: int | None
    type: str
    dimension: str
    state: str
    stage: str
    start_frame: int
    stop_frame: int
    updated_date: str
    consensus_replicas: int

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Job:
        return cls(
            id=data["id"],
            task_id=data["task_id"],
            project_id=data.get("project_id"),
            type=data.get("type") or "annotation",
            dimension=data.get("dimension") or "2d",
            state=data.get("state") or "",
            stage=data.get("stage") or "",
            start_frame=data["start_frame"],
            stop_frame=data["stop_frame"],
            updated_date=data.get("updated_date") or "",
            consensus_replicas=data.get("consensus_replicas") or 0,
        )


@dataclass(frozen=True, slots=True)
class FrameSizes:
    """What a job's frames are: `size_hw(i)` of the i-th one, and which are deleted (the task's own numbers)."""

    sizes_hw: tuple[tuple[int, int], ...]
    deleted: frozenset[int]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> FrameSizes:
        return cls(
            sizes_hw=tuple((frame["height"], frame["width"]) for frame in data["frames"]),
            deleted=frozenset(data.get("deleted_frames") or ()),
        )

    def size_hw(self, index: int) -> tuple[int, int] | None:
        """Height and width; a video has one entry for all of its frames."""
        if len(self.sizes_hw) == 1:
            return self.sizes_hw[0]
        return self.sizes_hw[index] if index < len(self.sizes_hw) else None


@dataclass(frozen=True, slots=True)
class Attribute:
    id: int
    name: str
    input_type: str
    default_value: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Attribute:
        return cls(
            id=data["id"],
            name=data["name"],
            input_type=data.get("input_type") or "text",
            default_value=str(data.get("default_value") or ""),
            values=tuple(str(value) for value in data.get("values") or ()),
        )


@dataclass(frozen=True, slots=True)
class Label:
    id: int
    name: str
    type: str
    attributes: tuple[Attribute, ...]
    sublabels: tuple[Label, ...]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Label:
        return cls(
            id=data["id"],
            name=data["name"],
            type=data.get("type") or "any",
            attributes=tuple(Attribute.of(a) for a in data.get("attributes") or ()),
            # CVAT lists them in any order; their ids grow in the order in which they were drawn.
            sublabels=tuple(sorted((cls.of(s) for s in data.get("sublabels") or ()), key=lambda part: part.id)),
        )


@dataclass(frozen=True, slots=True)
class Webhook:
    id: int
    target_url: str
    is_active: bool
    events: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Webhook:
        events = tuple(str(event) for event in data.get("events") or ())
        return cls(data["id"], data.get("target_url") or "", bool(data.get("is_active", True)), events)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry of a webhook's list. status: the receiver's, None where there is none yet; payload: what was sent."""

    id: int
    status: int | None
    created_date: str
    payload: Any

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Delivery:
        return cls(data["id"], data.get("status_code") or None, data.get("created_date") or "", data.get("request"))
