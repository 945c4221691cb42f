"""The points that a frame must have: the four corners of its quadrat, or every crossing of its grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.cvat.objects import Label
from bridge.events.label_names import listed, match_name
from bridge.models.card import ModelCard
from bridge.runs.endings import RunEnds

CORNERS = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """One shape of a label on each frame. parts: of a skeleton, the ids of its points in the order wanted; empty: any
    shape of `count` points will do. noun: what it is called in messages."""

    label_id: int
    label: str
    count: int
    parts: tuple[int, ...]
    noun: str


def choose_label(
    labels: Sequence[Label], cards: Sequence[ModelCard], *, count: int, noun: str, name: str | None = None
) -> Wanted:
    """Which label holds the points: the one of that name; else the one that the only pose card of so many points fills;
    else the only skeleton of so many points. RunEnds where that is none, or more than one.
    """
    found = _named(labels, name) if name is not None else _of_card(labels, cards, count) or _only(labels, count, noun)
    if found.type == "skeleton":
        if len(found.sublabels) != count:
            raise RunEnds("failed", f"label '{found.name}' has {len(found.sublabels)} points; expected {count}")
        return Wanted(found.id, found.name, count, _in_order(found, cards, count), noun)
    if found.type not in {"polygon", "polyline", "points", "any"}:
        raise RunEnds("failed", f"label '{found.name}' is of type {found.type}: it holds no {noun}")
    return Wanted(found.id, found.name, count, (), noun)


def points_of(shapes: Sequence[Mapping[str, Any]], wanted: Wanted) -> list[float] | str:
    """x, y, x, y… of the only shape of the wanted label among `shapes` of one frame; or why there are none."""
    mine = [shape for shape in shapes if shape["label_id"] == wanted.label_id]
    if len(mine) != 1:
        return f"no {wanted.noun}" if not mine else f"{len(mine)} {wanted.noun}s"
    if wanted.parts:
        points = _of_skeleton(mine[0], wanted)
    elif mine[0].get("outside"):
        points = f"its {wanted.noun} is marked outside"
    else:
        points = list(mine[0].get("points") or ())
    if isinstance(points, str):
        return points
    if len(points) != 2 * wanted.count:
        return f"expected {wanted.count} points, got {len(points) // 2}"
    return points if all(map(math.isfinite, points)) else "a point has no finite coordinates"


def _of_skeleton(shape: Mapping[str, Any], wanted: Wanted) -> list[float] | str:
    elements = {element["label_id"]: element for element in shape.get("elements") or ()}
    found = [elements.get(part) for part in wanted.parts]
    if lacking := [str(number) for number, element in enumerate(found, 1) if element is None]:
        there = wanted.count - len(lacking)
        return f"expected {wanted.count} points, got {there}: without {listed(lacking)}"
    if outside := [str(number) for number, element in enumerate(found, 1) if element and element.get("outside")]:
        return f"marked outside: point {listed(outside)}"
    # One that is only hidden (occluded) is where a model or a person put it.
    return [float(value) for element in found if element for value in element["points"][:2]]


def _named(labels: Sequence[Label], name: str) -> Label:
    wanted = match_name(name, [label.name for label in labels])
    for label in labels:
        if label.name == wanted:
            return label
    raise RunEnds("failed", f"the task has no label '{name}'; it has: {_names(labels)}")


def _of_card(labels: Sequence[Label], cards: Sequence[ModelCard], count: int) -> Label | None:
    names = {
        name for card in cards if card.task == "pose" for name, points in card.points.items() if len(points) == count
    }
    wanted = match_name(names.pop(), [label.name for label in labels]) if len(names) == 1 else None
    return next((one for one in labels if one.name == wanted and len(one.sublabels) == count), None)


def _only(labels: Sequence[Label], count: int, noun: str) -> Label:
    fitting = [label for label in labels if label.type == "skeleton" and len(label.sublabels) == count]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise RunEnds("failed", f"the task has no skeleton of {count} points for a {noun}; it has: {_names(labels)}")
    which = ", ".join(label.name for label in fitting)
    raise RunEnds("failed", f"several labels of the task have {count} points: {which}; `label` says which one is meant")


def _in_order(label: Label, cards: Sequence[ModelCard], count: int) -> tuple[int, ...]:
    """A card that fills this label knows the order of its points; else it is that of the label's own."""
    ids = {part.name: part.id for part in label.sublabels}
    for card in cards:
        for name, points in card.points.items():
            if card.task == "pose" and name.casefold() == label.name.casefold() and set(points) == set(ids):
                return tuple(ids[point] for point in points)
    return tuple(part.id for part in label.sublabels)


def _names(labels: Sequence[Label]) -> str:
    return listed([label.name for label in labels]) or "none"
