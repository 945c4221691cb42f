"""Labels as they are posted, and the rules for them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Any

from demo.cvat.errors import bad_request, no_choice
from demo.cvat.state import State
from demo.cvat.tables import Attribute, Job, Json, Label, Project

TYPES = (
    "any",
    "cuboid",
    "ellipse",
    "mask",
    "points",
    "polygon",
    "polyline",
    "rectangle",
    "skeleton",
    "tag",
)
INPUT_TYPES = ("checkbox", "radio", "number", "text", "select")
NOT_UNIQUE = "All label names must be unique"


def add_labels(state: State, specs: list[Json]) -> list[Label]:
    """New labels after `specs`. Raises 400; nothing is kept then."""
    check_specs(specs)
    _check_names(spec["name"] for spec in specs)
    return [_label(state, spec) for spec in specs]


def change_labels(state: State, project: Project, specs: list[Json]) -> list[Label]:
    """The project's labels after a PATCH: a spec with an `id` changes or deletes that label, one without adds one."""
    check_specs([spec for spec in specs if "id" not in spec])
    kept = {label.id: label for label in project.labels}
    gone = {spec["id"] for spec in specs if spec.get("deleted")}
    named = {spec["id"]: spec["name"] for spec in specs if "id" in spec and "name" in spec}
    added = [spec for spec in specs if "id" not in spec]
    _check_names(
        [
            *(named.get(label.id, label.name) for label in project.labels if label.id not in gone),
            *(spec["name"] for spec in added),
        ]
    )
    for spec in specs:
        if spec.get("id") in kept:
            update_label(state, kept[spec["id"]], spec)
    for number in gone & set(kept):
        drop_annotations(state, kept[number], [job for job in state.jobs.values() if job.task.project is project])
    return [label for label in project.labels if label.id not in gone] + [_label(state, spec) for spec in added]


def update_label(state: State, label: Label, spec: Json) -> None:
    """Change what `spec` names; attributes in it are added (or, with an id, changed)."""
    label.name = spec.get("name", label.name)
    label.color = spec.get("color", label.color)
    label.type = spec.get("type", label.type)
    for item in spec.get("attributes", []):
        known = next((row for row in label.attributes if row.id == item.get("id")), None)
        if known is None:
            label.attributes.append(_attribute(state, item))
        else:
            known.name = item.get("name", known.name)
            known.values = item.get("values", known.values)
            known.default_value = item.get("default_value", known.default_value)


def drop_annotations(state: State, label: Label, jobs: Iterable[Job]) -> None:
    """A label that is deleted takes its annotations along."""
    for job in jobs:
        for table in (job.tags, job.shapes, job.tracks):
            for number in [key for key, row in table.items() if row["label_id"] == label.id]:
                del table[number]
                if table is job.shapes:
                    state.shape_jobs.pop(number, None)


def check_specs(specs: Any) -> None:
    """The form of posted labels; raises 400 with the place of what is wrong."""
    if not isinstance(specs, list):
        raise bad_request({"labels": [f'Expected a list of items but got type "{type(specs).__name__}".']})
    problems: list[Json] = []
    for spec in specs:
        problem: Json = {}
        if not spec.get("name"):
            problem["name"] = ["This field is required."]
        if spec.get("type", "any") not in TYPES:
            problem["type"] = no_choice("type", spec["type"]).body["type"]
        for item in spec.get("attributes", []):
            if item.get("input_type") not in INPUT_TYPES:
                problem["attributes"] = [{"input_type": [f'"{item.get("input_type")}" is not a valid choice.']}]
        problems.append(problem)
    if any(problems):
        raise bad_request({"labels": problems})


def _check_names(names: Iterable[str]) -> None:
    seen = list(names)
    if len(set(seen)) < len(seen):
        raise bad_request([NOT_UNIQUE])


def _label(state: State, spec: Json, parent: Label | None = None) -> Label:
    number = state.next_id("label")
    label = Label(
        number,
        spec["name"],
        spec.get("color") or _color(spec["name"]),
        spec.get("type", "any"),
        [_attribute(state, item) for item in spec.get("attributes", [])],
        parent=parent,
    )
    label.sublabels = [_label(state, item, label) for item in spec.get("sublabels", [])]
    label.svg = _with_ids(spec.get("svg", ""), label.sublabels)
    return label


def _attribute(state: State, spec: Json) -> Attribute:
    return Attribute(
        state.next_id("attribute"),
        spec["name"],
        bool(spec.get("mutable", False)),
        spec["input_type"],
        str(spec.get("default_value", "")),
        [str(value) for value in spec.get("values", [])],
    )


def _color(name: str) -> str:
    return f"#{zlib.crc32(name.lower().encode()) & 0xFFFFFF:06x}"


def _with_ids(svg: str, sublabels: list[Label]) -> str:
    """The nodes of a skeleton's drawing name their sublabels when posted, and carry their ids when read."""
    ids = {label.name: label.id for label in sublabels}

    def numbered(match: re.Match[str]) -> str:
        number = ids.get(match[1])
        return match[0] if number is None else f'data-label-id="{number}"'

    return re.sub(r'data-label-name="([^"]*)"', numbered, svg)
