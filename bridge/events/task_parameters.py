"""The query of the two task webhooks: typed, normalised, and refused by name where it cannot be meant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from bridge.events.parameters import holds_nul, model_name, names_in, pairs_of, refuse
from bridge.events.payload import MOST_ID
from kelp.errors import InvalidRequest
from kelp.settings.model import IMAGE_FORMATS, ModelSetting, settings_of

TaskKind = Literal["crop", "remove-grid"]
TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
TASK_TRIGGERS = ("task_completed", "jobs_completed")
GRID_MODEL = "pth-lama"
SIZE = ModelSetting("size", "int", 1920, "side of the new picture, in pixels", 32, 8192, tasks=frozenset())
SKIP_INVALID = ModelSetting(
    "skip_invalid", "bool", False, "go on without frames that cannot be used, and report them", tasks=frozenset()
)
MAX_LABEL = 64


def _settings(kind: TaskKind) -> dict[str, ModelSetting]:
    pictures = {name: settings_of("inpaint")[name] for name in ("format", "quality")}
    if kind == "crop":
        form = ModelSetting("format", "choice", "jpeg", "of the new pictures", choices=IMAGE_FORMATS, tasks=frozenset())
        return {"size": SIZE, **pictures, "format": form}
    return {"grid_line_width": settings_of("inpaint")["grid_line_width"], **pictures}


SETTINGS: Mapping[TaskKind, Mapping[str, ModelSetting]] = {kind: _settings(kind) for kind in TASK_KINDS}
"""Of the new pictures, by kind. A grid's are the model's own: where they are not given, its card decides."""
_OWN: Mapping[TaskKind, tuple[str, ...]] = {
    "crop": ("target_proj_id", "on", "label", "skip_invalid"),
    "remove-grid": ("target_proj_id", "on", "model_name", "skip_invalid"),
}


@dataclass(frozen=True)
class TaskParameters:
    """What a new task is made from and into.

    target: the project of the new task; on: which events start it; label: of the quadrats (None: found out);
    model: that removes the grid, empty for crops; settings: of the new pictures; again: makes it another task than the
    one there may be already.
    """

    kind: TaskKind
    target: int
    on: frozenset[str] = frozenset(TASK_TRIGGERS)
    label: str | None = None
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    skip_invalid: bool = False
    again: str = ""

    def to_json(self) -> dict[str, Any]:
        """The normal form: equal wishes, however they were spelled, are equal here."""
        return {
            "kind": self.kind,
            "target_proj_id": self.target,
            "on": sorted(self.on),
            "label": self.label,
            "model_name": self.model,
            "settings": dict(sorted(self.settings.items())),
            "skip_invalid": self.skip_invalid,
            "again": self.again,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TaskParameters:
        return cls(
            kind=data["kind"],
            target=data["target_proj_id"],
            on=frozenset(data["on"]),
            label=data["label"],
            model=data["model_name"],
            settings=data["settings"],
            skip_invalid=data["skip_invalid"],
            again=data["again"],
        )

    @cached_property
    def canonical(self) -> str:
        """The normal form as text."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parse_task_query(kind: TaskKind, query: bytes | str) -> TaskParameters:
    """The parameters in a URL's `query`. InvalidRequest (400) names the one that is unknown, missing or wrong."""
    return parse_task_parameters(kind, pairs_of(query))


def parse_task_parameters(kind: TaskKind, pairs: Sequence[tuple[str, Any]], again: str = "") -> TaskParameters:
    """The same for pairs that are decoded already."""
    known = SETTINGS[kind]
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in given:
            raise InvalidRequest(f"parameter '{name}' is given twice", code="invalid_parameter")
        if name not in known and name not in _OWN[kind]:
            there = ", ".join(sorted({*_OWN[kind], *known}))
            raise InvalidRequest(f"unknown parameter '{name}'; there are: {there}", code="unknown_parameter")
        if holds_nul(value):
            raise InvalidRequest(f"parameter '{name}': holds a NUL character", code="invalid_parameter")
        given[name] = value
    defaults = {name: setting.default for name, setting in known.items()} if kind == "crop" else {}
    return TaskParameters(
        kind=kind,
        target=_target(given.get("target_proj_id")),
        on=_on(given.get("on")),
        label=_label(given.get("label")),
        model=model_name(given.get("model_name", GRID_MODEL)) if kind == "remove-grid" else "",
        settings={**defaults, **{name: known[name].parse(value) for name, value in given.items() if name in known}},
        skip_invalid=SKIP_INVALID.parse(given.get("skip_invalid", False)),
        again=again,
    )


def _target(value: Any) -> int:
    if value is None or value == "":
        raise InvalidRequest("parameter 'target_proj_id' is required", code="missing_parameter")
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or not 0 < int(text) <= MOST_ID:
        raise refuse("target_proj_id", "the id of a project", value)
    return int(text)


def _on(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset(TASK_TRIGGERS)
    wanted = names_in(value, "on")
    if wrong := sorted(wanted - set(TASK_TRIGGERS)):
        raise refuse("on", "a comma list of " + ", ".join(TASK_TRIGGERS), wrong[0])
    return frozenset(wanted)


def _label(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value.strip()) <= MAX_LABEL:
        raise refuse("label", "the name of a label", value)
    return value.strip()
