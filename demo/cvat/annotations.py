"""Annotations as CVAT keeps and returns them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from demo.cvat.annotation_checks import KINDS
from demo.cvat.errors import bad_request
from demo.cvat.state import State
from demo.cvat.tables import Attribute, Job, Json


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
