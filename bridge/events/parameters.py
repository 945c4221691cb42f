"""The query of the detection webhook: typed, normalised, and refused by name where it cannot be meant."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args
from urllib.parse import parse_qsl

from bridge.events.payload import Trigger
from kelp.errors import InvalidRequest
from kelp.settings.model import DETECTORS, ModelSetting, settings_of

TRIGGERS: tuple[str, ...] = get_args(Trigger)
EXISTING = ("add", "skip", "replace")
_OWN = ("model_name", "on", "label_map", "labels", "existing")
MAX_QUERY = 8192
MAX_MODEL_NAME = 128


@dataclass(frozen=True)
class DetectParameters:
    """What a detection is asked to do.

    model: `NAME` or `NAME-v2`; on: which changes of a job start it; label_map: model label → project label, or None to
    drop it; labels: the model's labels to keep (None: all); existing: what happens to shapes that are there already;
    settings: overrides of the model's settings, parsed.
    """

    model: str
    on: frozenset[str] = frozenset({"started"})
    label_map: Mapping[str, str | None] = field(default_factory=dict)
    labels: frozenset[str] | None = None
    existing: str = "replace"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The normal form: equal wishes, however they were spelled, are equal here."""
        return {
            "model_name": self.model,
            "on": sorted(self.on),
            "label_map": dict(sorted(self.label_map.items())),
            "labels": None if self.labels is None else sorted(self.labels),
            "existing": self.existing,
            "settings": dict(sorted(self.settings.items())),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DetectParameters:
        labels = data["labels"]
        return cls(
            model=data["model_name"],
            on=frozenset(data["on"]),
            label_map=data["label_map"],
            labels=None if labels is None else frozenset(labels),
            existing=data["existing"],
            settings=data["settings"],
        )

    @cached_property
    def canonical(self) -> str:
        """The normal form as text."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def all_detector_settings() -> dict[str, ModelSetting]:
    """Every setting that some detector has: what a webhook may name before its model is known."""
    return {name: setting for task in sorted(DETECTORS) for name, setting in settings_of(task).items()}


def parse_query(query: bytes | str, own_settings: Collection[str] | None = ()) -> DetectParameters:
    """The parameters in a URL's `query`. `own_settings`: names that some model declares beyond the common table.

    None means that they are not known now: as a 400 would be final, any name is then left for the model to judge.
    InvalidRequest (400) names the parameter: unknown, given twice, missing, or with a value it cannot have.
    """
    return parse_parameters(pairs_of(query), own_settings)


def pairs_of(query: bytes | str) -> list[tuple[str, str]]:
    """The decoded names and values of a URL's query, in their order. InvalidRequest where it is none."""
    text = query.decode("latin-1") if isinstance(query, bytes) else query
    if len(text) > MAX_QUERY:
        raise InvalidRequest(f"query: expected at most {MAX_QUERY} characters", code="invalid_parameter")
    try:
        return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=64)
    except ValueError:
        raise InvalidRequest("query: expected name=value pairs, percent-encoded", code="invalid_parameter") from None


def parse_parameters(pairs: Sequence[tuple[str, Any]], own_settings: Collection[str] | None = ()) -> DetectParameters:
    """The same for pairs that are decoded already."""
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in given:
            raise InvalidRequest(f"parameter '{name}' is given twice", code="invalid_parameter")
        if holds_nul(value):
            raise InvalidRequest(f"parameter '{name}': holds a NUL character", code="invalid_parameter")
        given[name] = value
    known = all_detector_settings()
    settings: dict[str, Any] = {}
    for name, value in given.items():
        if name in _OWN:
            continue
        if name in known:
            settings[name] = known[name].parse(value)
        elif own_settings is None or name in own_settings:
            settings[name] = _scalar(value)
        else:
            there = ", ".join(sorted({*_OWN, *known, *own_settings}))
            raise InvalidRequest(f"unknown parameter '{name}'; there are: {there}", code="unknown_parameter")
    return DetectParameters(
        model=model_name(given.get("model_name", "")),
        on=_on(given.get("on")),
        label_map=_label_map(given.get("label_map")),
        labels=_labels(given.get("labels")),
        existing=_existing(given.get("existing")),
        settings=settings,
    )


def model_name(value: Any) -> str:
    """The model that a parameter `model_name` names."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest("parameter 'model_name' is required", code="missing_parameter")
    if len(value) > MAX_MODEL_NAME:
        raise InvalidRequest(
            f"parameter 'model_name': expected at most {MAX_MODEL_NAME} characters", code="invalid_parameter"
        )
    # `NAME@v2` is how people write a version here; on the wire the model is NAME-v2.
    name, _, version = value.strip().partition("@")
    return f"{name}-{version}" if version else name


def _on(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset({"started"})
    wanted = names_in(value, "on")
    if wrong := sorted(wanted - set(TRIGGERS)):
        raise refuse("on", "a comma list of " + ", ".join(TRIGGERS), wrong[0])
    return frozenset(wanted)


def _existing(value: Any) -> str:
    if value is None:
        return "replace"
    if value not in EXISTING:
        raise refuse("existing", "one of " + ", ".join(EXISTING), value)
    return str(value)


def _labels(value: Any) -> frozenset[str] | None:
    return None if value is None else frozenset(names_in(value, "labels"))


def _label_map(value: Any) -> dict[str, str | None]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        pairs = [(str(source), "" if target is None else str(target)) for source, target in value.items()]
    else:
        parts = [part.partition(":") for part in str(value).split(",")]
        if any(not separator for _, separator, _ in parts):
            raise refuse("label_map", "model:project,…", value)
        pairs = [(source, target) for source, _, target in parts]
    found: dict[str, str | None] = {}
    for source, target in pairs:
        name = source.strip()
        if not name or name in found:
            raise refuse("label_map", "model:project,… with each model label once", value)
        found[name] = target.strip() or None
    return found


def names_in(value: Any, parameter: str) -> set[str]:
    """The names in a comma list (or a list); at least one."""
    parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
    names = {str(part).strip() for part in parts} - {""}
    if not names:
        raise refuse(parameter, "a comma list of names", value)
    return names


def holds_nul(value: Any) -> bool:
    """Whether a NUL character, which PostgreSQL does not store, is anywhere in `value`."""
    if isinstance(value, Mapping):
        return any(holds_nul(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return any(map(holds_nul, value))
    return isinstance(value, str) and "\0" in value


def _scalar(value: Any) -> Any:
    """A setting that only its runtime can check, as the number or truth value that it looks like."""
    if not isinstance(value, str):
        return value
    if value.lower() in {"true", "false"}:
        return value.lower() == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def refuse(parameter: str, expected: str, value: Any) -> InvalidRequest:
    """The error that says what was given and what was expected."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "…"
    return InvalidRequest(f"parameter '{parameter}': expected {expected}, got {shown}", code="invalid_parameter")
