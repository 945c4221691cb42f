"""What the server refuses of posted annotations.

The checks are as weak as the original's: a frame outside the job, a type other than the label's, points outside the
picture, attribute values that are not in their list all pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from demo.cvat.errors import bad_request, server_error
from demo.cvat.tables import Json, Label

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
