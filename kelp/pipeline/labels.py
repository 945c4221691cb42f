"""A project's labels as CVAT takes them, and how those that are there differ from those that are wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kelp.card import Label
from kelp.card.schema import Attribute

Json = dict[str, Any]
# What a label of type `any` in a card leaves to the project.
_OUTLINES = {"any", "rectangle", "polygon", "polyline", "mask"}


@dataclass(slots=True)
class LabelDifference:
    """body: what `PATCH /api/projects` is sent in `labels`; told: a line for each change. remade: ids of skeletons that
    have to go first. blocked: label → why CVAT or the tasks that are there allow no change."""

    body: list[Json] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    remade: list[int] = field(default_factory=list)
    blocked: dict[str, str] = field(default_factory=dict)


def posted(label: Label) -> Json:
    """`label` as CVAT takes it when it is made."""
    body: Json = {
        "name": label.name,
        "type": label.type,
        "attributes": [_attribute(a) for a in label.attributes],
    }
    if label.color:
        body["color"] = label.color
    if label.type == "skeleton":
        body["svg"] = label.svg
        body["sublabels"] = [
            {"name": s.name, "type": s.type, "attributes": [_attribute(a) for a in s.attributes]}
            for s in label.sublabels
        ]
    return body


def label_difference(
    wanted: Sequence[Label], present: Sequence[Json], *, tasks: int, mapped: Sequence[Label] = ()
) -> LabelDifference:
    """What makes `wanted` of the labels of a project that holds `tasks` tasks. Labels that nobody wants stay.

    mapped: what a `label_map` leads to, added where it is missing, else left as it is.
    """
    found = LabelDifference()
    for label in wanted:
        there = match(label.name, present)
        if there is None:
            found.body.append(posted(label))
            found.told.append(f"label '{label.name}' ({_described(label)}) is added")
        elif why := skeleton_fault(label, there):
            _remake(label, there, why, tasks, found)
        else:
            _change(label, there, tasks, found)
    for label in mapped:
        if match(label.name, present) is None:
            found.body.append(posted(label))
            found.told.append(f"label '{label.name}' ({_described(label)}) is added: a label_map leads to it")
    return found


def match(name: str, present: Sequence[Json]) -> Json | None:
    """The label that a model's `name` goes to: exactly, else by a unique match without case, as the bridge does it."""
    alike = [row for row in present if row["name"] == name] or [
        row for row in present if row["name"].casefold() == name.casefold()
    ]
    return alike[0] if len(alike) == 1 else None


def skeleton_fault(label: Label, there: Json) -> str:
    """Why the label that is there cannot take the points of `label`; "" where it can, or neither is a skeleton."""
    is_one = there["type"] == "skeleton"
    if (label.type == "skeleton") != is_one:
        return f"it is of type {there['type']}, not {label.type}"
    if not is_one:
        return ""
    names = {row["name"] for row in there["sublabels"]}
    wanted = [s.name for s in label.sublabels]
    if lacking := [name for name in wanted if name not in names]:
        return f"it lacks {_points(lacking)}"
    if foreign := sorted(names - set(wanted)):
        return f"it has {_points(foreign)} that the model does not know"
    drawn = set(re.findall(r'data-label-id="(\d+)"', there.get("svg") or ""))
    if missing := [row["name"] for row in there["sublabels"] if str(row["id"]) not in drawn]:
        return f"its drawing lacks {_points(missing)}"
    return ""


def type_fits(wanted: str, there: str) -> bool:
    """Whether a label of type `there` is what `wanted` asks for; `any` leaves the outline's kind to the project."""
    return wanted == there or (wanted == "any" and there in _OUTLINES)


def _remake(label: Label, there: Json, why: str, tasks: int, found: LabelDifference) -> None:
    if tasks:
        found.blocked[label.name] = (
            f"{why}; CVAT cannot change that, and making it anew would take the annotations of "
            f"{counted(tasks, 'task')} along"
        )
        return
    found.remade.append(int(there["id"]))
    found.body.append(posted(label))
    found.told.append(f"label '{there['name']}' is made anew as {_described(label)}: {why}")


def _change(label: Label, there: Json, tasks: int, found: LabelDifference) -> None:
    body: Json = {}
    told = []
    if not type_fits(label.type, there["type"]):
        if tasks:
            found.blocked[label.name] = (
                f"it is of type {there['type']}, not {label.type}, and {counted(tasks, 'task')} may hold shapes of it"
            )
        else:
            body["type"] = label.type
            told.append(f"type {there['type']} → {label.type}")
    attributes = []
    known = {row["name"]: row for row in there["attributes"]}
    for attribute in label.attributes:
        wanted = _attribute(attribute)
        row = known.get(attribute.name)
        if row is None:
            attributes.append(wanted)
            told.append(f"attribute '{attribute.name}' is added")
        elif lines := _attribute_lines(wanted, row):
            attributes.append({**wanted, "id": row["id"]})
            told += [f"attribute '{attribute.name}': {line}" for line in lines]
    if attributes:
        body["attributes"] = attributes
    if body:
        # Without its colour CVAT would choose a new one.
        found.body.append({"id": there["id"], "name": there["name"], "color": there["color"], **body})
        found.told.append(f"label '{there['name']}': " + ", ".join(told))


def _attribute(attribute: Attribute) -> Json:
    return attribute.model_dump(mode="json")


def _attribute_lines(wanted: Json, there: Mapping[str, Any]) -> list[str]:
    lines = []
    for name in ("input_type", "mutable", "default_value", "values"):
        old, new = there.get(name), wanted[name]
        if name == "values":
            old, new = [v for v in old or [] if v], [v for v in new if v]  # an empty list is read back as [""]
        if old != new:
            lines.append(f"{name} {old!r} → {new!r}")
    return lines


def _described(label: Label) -> str:
    return f"a skeleton of {counted(len(label.sublabels), 'point')}" if label.type == "skeleton" else label.type


def _points(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"the point {shown}" if len(names) == 1 else f"the points {shown}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
