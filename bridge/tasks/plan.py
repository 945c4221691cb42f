"""What a run is going to make: read from CVAT once, kept, and from then on the truth about the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bridge.runs.endings import RunEnds

# Of a list of frames, so many are told in a sentence; the run's details have them all.
TOLD = 20


@dataclass(frozen=True, slots=True)
class PlannedFrame:
    """number: the source task's own; name: there; new_name: in the new task; size_hw: height and width, as CVAT knows
    them; points: x, y, x, y… in pixels."""

    number: int
    name: str
    new_name: str
    size_hw: tuple[int, int]
    points: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A frame that cannot be used, and why."""

    number: int
    name: str
    reason: str

    def __str__(self) -> str:
        return f"frame {self.number} ({self.name}): {self.reason}"


@dataclass(frozen=True, slots=True)
class Plan:
    """task, target: ids of the source task and the target project; mark: by which CVAT finds the new task; settings: of
    the new pictures, the form always among them; open_jobs, deleted: how many jobs are not completed, and how many
    frames are deleted in CVAT; organization: the target project's. The rest the new task has from its source.
    """

    kind: str
    task: int
    target: int
    mark: str
    name: str
    subset: str
    segment_size: int
    overlap: int | None
    image_quality: int
    organization: int | None
    label: str
    settings: Mapping[str, Any]
    frames: tuple[PlannedFrame, ...]
    left_out: tuple[LeftOut, ...] = ()
    deleted: int = 0
    open_jobs: int = 0
    model: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        frames = tuple(
            PlannedFrame(**{**frame, "size_hw": tuple(frame["size_hw"]), "points": tuple(frame["points"])})
            for frame in data["frames"]
        )
        return cls(**{**data, "frames": frames, "left_out": tuple(LeftOut(**frame) for frame in data["left_out"])})

    def refuse(self, *, skip_invalid: bool) -> None:
        """RunEnds unless the new task may be made, which is decided before anything is."""
        if self.left_out and not (skip_invalid and self.frames):
            hint = "" if skip_invalid else "; skip_invalid=true goes on without them"
            raise RunEnds("failed", f"{told(self.left_out, len(self.frames) + len(self.left_out))}{hint}")
        if not self.frames:
            raise RunEnds("failed", f"task {self.task} has no frames")

    def details(self) -> dict[str, Any]:
        """What is recorded of a run: how it makes the new task."""
        counted = {"frames_deleted": self.deleted, "jobs_not_completed": self.open_jobs}
        found: dict[str, Any] = {"label": self.label, "settings": dict(self.settings), "mark": self.mark}
        if self.model:
            found["model"] = dict(self.model)
        if self.left_out:
            found["left_out"] = {str(frame.number): f"{frame.name}: {frame.reason}" for frame in self.left_out}
        return found | {name: number for name, number in counted.items() if number}

    def preview(self) -> dict[str, Any]:
        """The same for somebody who asks before it is done."""
        frames = [
            {"frame": frame.number, "name": frame.name, "new_name": frame.new_name, "error": None}
            for frame in self.frames
        ]
        frames += [
            {"frame": frame.number, "name": frame.name, "new_name": None, "error": frame.reason}
            for frame in self.left_out
        ]
        frames.sort(key=lambda frame: frame["frame"] or 0)
        return {"name": self.name, **self.details(), "frames": frames}


def told(left_out: tuple[LeftOut, ...], total: int) -> str:
    """One sentence about the frames that cannot be used, of `total`."""
    shown = "; ".join(map(str, left_out[:TOLD]))
    more = f"; and {len(left_out) - TOLD} more" if len(left_out) > TOLD else ""
    return f"{len(left_out)} of {total} frames cannot be used: {shown}{more}"
