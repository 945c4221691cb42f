"""Which label of the project each label of the model goes to, and as what kind of shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.cvat.objects import Attribute, Label
from bridge.events.label_names import listed, match_name, with_labels_of
from bridge.events.parameters import DetectParameters
from kelp.detections.cvat_annotations import AttributeValue, ScoreAttribute, Target
from kelp.detections.shape_kind import ModelOutput, shape_kind

SCORE_ATTRIBUTES = ("score", "confidence")


@dataclass(frozen=True, slots=True)
class Resolution:
    """targets: by model label; missing: model labels that the project lacks; unsuited: model label → why not;
    dropped: model labels that the caller does not want; astray: of those that `label_map` sends to a label that the
    project lacks, model label → that label."""

    targets: Mapping[str, Target] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unsuited: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    astray: Mapping[str, str] = field(default_factory=dict)

    def why_nothing(self, project: Sequence[str]) -> str | None:
        """A message for people where no label has a target, or one was sent astray; None where nothing is wrong."""
        if self.astray:
            sent = ", ".join(f"{name} to '{label}'" for name, label in self.astray.items())
            return f"label_map sends {sent}, which the project does not have; it has {listed(project) or 'none'}"
        if self.targets:
            return None
        if self.unsuited:
            return "no label can take this model's shapes: " + "; ".join(f"{n}: {r}" for n, r in self.unsuited.items())
        if not self.missing:
            return "no label of the model is left: label_map and labels drop them all"
        return (
            f"none of the model's labels is in the project: the model has {listed(self.missing)}; "
            f"the project has {listed(project) or 'none'}. label_map=model:project,… can connect them"
        )


def resolve(
    names: Sequence[str],
    labels: Sequence[Label],
    parameters: DetectParameters,
    found: ModelOutput,
    *,
    points: Mapping[str, Sequence[str]] | None = None,
) -> Resolution:
    """Where each of the model's labels `names` goes among the project's `labels`.

    Names match exactly, else by a unique match without case. `points`: names of the keypoints in
    order, by model label, for skeletons (where the model names none, the sublabels' own order counts).
    InvalidRequest where `parameters` name labels that the model lacks; without `names` nobody can tell yet.
    """
    if names:
        parameters = with_labels_of(names, parameters)
    targets: dict[str, Target] = {}
    missing, dropped, unsuited, astray = [], [], {}, {}
    for name in names:
        wanted = parameters.label_map.get(name, name)
        if wanted is None or (parameters.labels is not None and name not in parameters.labels):
            dropped.append(name)
            continue
        label = _match(wanted, labels)
        if label is None:
            missing.append(name)
            if name in parameters.label_map:
                astray[name] = wanted
            continue
        target = _target(label, parameters.settings, found, (points or {}).get(name, ()))
        if isinstance(target, str):
            unsuited[name] = target
        else:
            targets[name] = target
    return Resolution(targets, tuple(missing), unsuited, tuple(dropped), astray)


def defaults_of(labels: Sequence[Label]) -> dict[int, str]:
    """Default value of every attribute, those of sublabels included, by CVAT's id."""
    found = {}
    for label in labels:
        found.update({attribute.id: _default(attribute) for attribute in label.attributes})
        found.update(defaults_of(label.sublabels))
    return found


def _match(name: str, labels: Sequence[Label]) -> Label | None:
    found = match_name(name, [label.name for label in labels])
    return next((label for label in labels if label.name == found), None)


def _target(label: Label, settings: Mapping[str, Any], found: ModelOutput, points: Sequence[str]) -> Target | str:
    kind = shape_kind(
        label.type,
        found,
        shape=settings.get("shape") or "auto",
        conv_mask_to_poly=settings.get("conv_mask_to_poly"),
    )
    if kind is None:
        return f"CVAT's label '{label.name}' is of type {label.type}, which this model cannot fill"
    elements: tuple[tuple[int, tuple[AttributeValue, ...]], ...] = ()
    if kind == "skeleton":
        parts = _in_order(label, points)
        if isinstance(parts, str):
            return parts
        elements = tuple((part.id, _values(part)) for part in parts)
    return Target(label.id, kind, _values(label), _score(label), elements)


def _in_order(label: Label, points: Sequence[str]) -> Sequence[Label] | str:
    if not points:
        return label.sublabels
    parts = [_match(point, label.sublabels) for point in points]
    if lacking := [point for point, part in zip(points, parts, strict=True) if part is None]:
        return f"the skeleton '{label.name}' lacks the points {listed(lacking)}"
    return [part for part in parts if part is not None]


def _values(label: Label) -> tuple[AttributeValue, ...]:
    """Every attribute with its default: CVAT would leave a required one out, and its UI then refuses to save."""
    return tuple(AttributeValue(attribute.id, _default(attribute)) for attribute in label.attributes)


def _default(attribute: Attribute) -> str:
    if attribute.default_value or attribute.input_type == "text":
        return attribute.default_value
    if attribute.input_type == "checkbox":
        return "false"
    return attribute.values[0] if attribute.values else ""


def _score(label: Label) -> ScoreAttribute | None:
    for attribute in label.attributes:
        if attribute.name.casefold() not in SCORE_ATTRIBUTES:
            continue
        if attribute.input_type == "text":
            return ScoreAttribute(attribute.id)
        if attribute.input_type == "number" and len(attribute.values) >= 2:
            try:
                maximum = float(attribute.values[1])
                step = float(attribute.values[2]) if len(attribute.values) > 2 else 0.0
            except ValueError:
                continue
            return ScoreAttribute(attribute.id, maximum, step)
    return None
