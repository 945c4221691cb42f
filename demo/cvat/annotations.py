"""Annotations as CVAT checks, keeps and returns them.

The checks are as weak as the original's: a frame outside the job, a type other than the label's, points outside the
picture, attribute values that are not in their list are all stored.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from demo.cvat.errors import bad_request, server_error
from demo.cvat.state import State
from demo.cvat.tables import Attribute, Job, Json, Label

KINDS = ("tags", "shapes", "tracks")
SOURCE_LENGTH = 16
LENGTHS: Mapping[str, Callable[[int], bool]] = {
    "rectangle": lambda count: count == 4,
    "ellipse": lambda count: count == 4,
    "cuboid": lambda count: count == 16,
    "polygon": lambda count: count >= 6 and count % 2 == 0,
    "polyline": lambda count: count >= 4 and count % 2 == 0,
    "points": lambda count: count >= 2 and count % 2 == 0,
    "mask": lambda count: count >= 5,
    "skeleton": lambda count: count == 0,
}


def check(body: Json, labels: Sequence[Label], *, with_ids: bool) -> None:
    """Raise what the server answers to `body`; 400 for its form, then 400 for unknown labels and attributes."""
    problems: Json = {}
    for kind in KINDS:
        rows = body.get(kind, [])
        if rows is None:
            problems[kind] = ["This field may not be null."]
        elif not isinstance(rows, list):
            what = f'Expected a list of items but got type "{type(rows).__name__}".'
            problems[kind] = {"non_field_errors": [what]}
        elif any(found := [_problems(kind, row, with_ids=with_ids) for row in rows]):
            problems[kind] = found
    if problems:
        raise bad_request(problems)
    known = {label.id: label for label in labels} | {part.id: part for label in labels for part in label.sublabels}
    for kind in KINDS:
        for row in body.get(kind, []):
            _check_row(row, known)


def _problems(kind: str, row: Any, *, with_ids: bool) -> Json:
    if not isinstance(row, dict):
        what = f"Invalid data. Expected a dictionary, but got {type(row).__name__}."
        return {"non_field_errors": [what]}
    problems: Json = {}
    needed = ("frame", "label_id") if kind != "shapes" else ("type", "frame", "label_id")
    for name in needed:
        if name not in row:
            problems[name] = ["This field is required."]
    for name in ("frame", "label_id"):
        if name in row and not isinstance(row[name], int):
            problems[name] = ["A valid integer is required."]
    for name in ("occluded", "outside"):
        if not isinstance(row.get(name, False), bool):
            problems[name] = ["Must be a valid boolean."]
    if "frame" in row and "frame" not in problems and row["frame"] < 0:
        problems["frame"] = ["Ensure this value is greater than or equal to 0."]
    if "source" in row and not row["source"]:
        problems["source"] = [f"This field may not be {'null' if row['source'] is None else 'blank'}."]
    if not with_ids and row.get("id") is not None:
        problems["id"] = ["must be absent"]
    if kind == "shapes" and "type" in row:
        problems.update(_shape_problems(row))
        elements = [_problems("shapes", item, with_ids=with_ids) for item in row.get("elements") or []]
        if any(elements):
            problems["elements"] = elements
    return problems


def _shape_problems(row: Json) -> Json:
    if row["type"] not in LENGTHS:
        return {"type": [f'"{row["type"]}" is not a valid choice.']}
    points = row.get("points")
    if points is None:
        if row["type"] != "skeleton":
            return {"points": [f"invalid length for shape type '{row['type']}'"]}
    else:
        wrong = {
            str(index): "[ErrorDetail(string='Value must be a float or an integer', code='invalid')]"
            for index, value in enumerate(points)
            if isinstance(value, bool) or not isinstance(value, int | float)
        }
        if wrong:
            return {"points": wrong}
        if not LENGTHS[row["type"]](len(points)):
            return {"points": [f"invalid length for shape type '{row['type']}'"]}
    if row["type"] == "skeleton" and not row.get("elements"):
        return {"elements": ["at least one required for skeleton shape"]}
    return {}


def _check_row(row: Json, known: Mapping[int, Label]) -> None:
    label = known.get(row["label_id"])
    if label is None:
        raise bad_request([f"label_id `{row['label_id']}` is invalid"])
    specs = {attribute.id for attribute in label.attributes}
    for value in row.get("attributes") or []:
        if value["spec_id"] not in specs:
            raise bad_request([f"spec_id `{value['spec_id']}` is invalid"])
    if len(row.get("source", "")) > SOURCE_LENGTH:
        raise server_error()
    for element in row.get("elements") or []:
        _check_row(element, known)


class Store:
    """One job's annotations; used under the lock, after `check`."""

    def __init__(self, state: State, job: Job) -> None:
        self._state = state
        self._job = job
        labels = job.task.all_labels()
        self._labels = {label.id: label for label in labels}
        self._labels |= {part.id: part for label in labels for part in label.sublabels}

    @property
    def empty(self) -> bool:
        return not (self._job.tags or self._job.shapes or self._job.tracks)

    def read(self) -> Json:
        """In order of frames; within a frame in no order, as it comes out of the original's database."""
        job = self._job
        tables = (job.tags, job.shapes, job.tracks)
        body: Json = {"version": 0}
        for kind, table in zip(KINDS, tables, strict=True):
            rows = sorted(table.values(), key=lambda row: (row["frame"], zlib.crc32(str(row["id"]).encode())))
            body[kind] = [self._shown(kind, row) for row in rows]
        return body

    def clear(self) -> None:
        for number in self._job.shapes:
            self._state.shape_jobs.pop(number, None)
        self._job.tags, self._job.shapes, self._job.tracks = {}, {}, {}

    def create(self, body: Json) -> Json:
        """Keep the rows of `body` under new ids and return them as the server does: as sent, with what was left out."""
        answer: Json = {"version": 0}
        answer["tags"] = [self._keep("tag", self._job.tags, _tag(row)) for row in body.get("tags", [])]
        answer["shapes"] = [self._keep_shape(_shape(row)) for row in body.get("shapes", [])]
        for shape in answer["shapes"]:
            for element in shape["elements"]:
                element["id"] = self._state.next_id("shape")
        answer["tracks"] = [self._keep_track(_track(row)) for row in body.get("tracks", [])]
        return answer

    def update(self, body: Json) -> Json:
        """Replace rows under their ids. One without an id is new; an id that is unknown comes into being."""
        answer: Json = {"version": 0, "tags": [], "shapes": [], "tracks": []}
        for row in body.get("shapes", []):
            holder = self._state.shape_jobs.get(row.get("id") or 0)
            if holder is not None and holder is not self._job:
                raise bad_request(
                    'duplicate key value violates unique constraint "engine_labeledshape_pkey"\n'
                    f"DETAIL:  Key (id)=({row['id']}) already exists.\n"
                )
        for row in body.get("shapes", []):
            shape = self._keep_shape(_shape(row), row.get("id"))
            for element, given in zip(shape["elements"], row.get("elements") or [], strict=True):
                element["id"] = given.get("id") or self._state.next_id("shape")
            answer["shapes"].append(shape)
        answer["tags"] = [self._keep("tag", self._job.tags, _tag(row), row.get("id")) for row in body.get("tags", [])]
        answer["tracks"] = [self._keep_track(_track(row), row.get("id")) for row in body.get("tracks", [])]
        return answer

    def delete(self, body: Json) -> Json:
        """Take rows out by their ids. Those that are not there are answered like the others."""
        answer: Json = {"version": 0}
        makers = (_tag, _shape, _track)
        for kind, table, make in zip(KINDS, (self._job.tags, self._job.shapes, self._job.tracks), makers, strict=True):
            answer[kind] = []
            for row in body.get(kind, []):
                if table.pop(row.get("id"), None) is not None and kind == "shapes":
                    del self._state.shape_jobs[row["id"]]
                shown = make(row, row.get("id"))
                if "elements" not in row:
                    shown.pop("elements", None)
                answer[kind].append(shown)
        return answer

    def _keep(self, kind: str, table: dict[int, Json], row: Json, number: int | None = None) -> Json:
        row["id"] = number if number is not None else self._state.next_id(kind)
        table.pop(row["id"], None)
        table[row["id"]] = row
        return row

    def _keep_shape(self, row: Json, number: int | None = None) -> Json:
        kept = self._keep("shape", self._job.shapes, row, number)
        self._state.shape_jobs[kept["id"]] = self._job
        return kept

    def _keep_track(self, row: Json, number: int | None = None) -> Json:
        kept = self._keep("track", self._job.tracks, row, number)
        for shape in kept["shapes"]:
            shape["id"] = self._state.next_id("tracked shape")
        return kept

    def _shown(self, kind: str, row: Json) -> Json:
        label = self._labels.get(row["label_id"])
        attributes = label.attributes if label else []
        if kind == "tags":
            return {name: row[name] for name in ("id", "label_id", "frame", "group", "source")} | {
                "attributes": _filled(row["attributes"], attributes)
            }
        if kind == "shapes":
            shown = self._shown_shape(row, attributes)
            shown["elements"] = [
                self._shown_shape(item, self._labels[item["label_id"]].attributes) for item in row["elements"]
            ]
            return shown
        mutable = [item for item in attributes if item.mutable]
        fixed = [item for item in attributes if not item.mutable]
        return {
            **{name: row[name] for name in ("id", "label_id", "frame", "group", "source")},
            "shapes": [
                {
                    **{name: shape[name] for name in ("id", "type", "frame", "occluded", "outside", "z_order")},
                    "rotation": float(shape["rotation"]),
                    "points": [float(value) for value in shape["points"]],
                    "attributes": _filled(shape["attributes"], mutable),
                }
                for shape in row["shapes"]
            ],
            "attributes": _filled(row["attributes"], fixed),
            "elements": [],
        }

    def _shown_shape(self, row: Json, attributes: Sequence[Attribute]) -> Json:
        return {
            "id": row["id"],
            "label_id": row["label_id"],
            "type": row["type"],
            "frame": row["frame"],
            "group": row["group"],
            "source": row["source"],
            "occluded": row["occluded"],
            "outside": row["outside"],
            "z_order": row["z_order"],
            "rotation": float(row["rotation"]),
            "points": [float(value) for value in row.get("points", ())],
            "attributes": _filled(row["attributes"], attributes),
        }


def _filled(given: Sequence[Json], attributes: Sequence[Attribute]) -> list[Json]:
    """`given`, and the defaults of the attributes that are not among them."""
    have = {item["spec_id"] for item in given}
    missing = ({"spec_id": item.id, "value": item.default_value} for item in attributes if item.id not in have)
    return [*given, *missing]


def _tag(row: Json, number: Any = None) -> Json:
    return {
        "id": number,
        "frame": row["frame"],
        "label_id": row["label_id"],
        "group": row.get("group"),
        "source": row.get("source", "manual"),
        "attributes": list(row.get("attributes") or []),
    }


def _shape(row: Json, number: Any = None) -> Json:
    return {
        **_element(row, number),
        "elements": [_element(item, item.get("id")) for item in row.get("elements") or []],
    }


def _element(row: Json, number: Any = None) -> Json:
    return {
        "type": row["type"],
        "occluded": row.get("occluded", False),
        "outside": row.get("outside", False),
        "z_order": row.get("z_order", 0),
        "rotation": row.get("rotation", 0),
        **({"points": list(row["points"])} if row.get("points") is not None else {}),
        "id": number,
        "frame": row["frame"],
        "label_id": row["label_id"],
        "group": row.get("group"),
        "source": row.get("source", "manual"),
        "attributes": list(row.get("attributes") or []),
    }


def _track(row: Json, number: Any = None) -> Json:
    shapes = [
        {
            "type": shape["type"],
            "occluded": shape.get("occluded", False),
            "outside": shape.get("outside", False),
            "z_order": shape.get("z_order", 0),
            "rotation": shape.get("rotation", 0),
            "points": list(shape.get("points") or []),
            "id": None,
            "frame": shape["frame"],
            "attributes": list(shape.get("attributes") or []),
        }
        for shape in row.get("shapes", [])
    ]
    return {**_tag(row, number), "shapes": shapes, "elements": []}
