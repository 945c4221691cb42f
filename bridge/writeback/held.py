"""What CVAT and the ledger hold of a job, by kind and frame, as last read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from bridge.store.ledger import Line
from bridge.store.progress import Reading
from bridge.writeback.content import Defaults, content_hash, contents_of
from bridge.writeback.plan import Owned, Present

Place = tuple[bool, int]
"""(is_tag, frame)."""


@dataclass(slots=True)
class Held:
    """foreign: (is_tag, id) of other models' shapes."""

    present: Mapping[Place, Sequence[Present]] = field(default_factory=dict)
    lines: dict[Place, list[Line]] = field(default_factory=dict)
    foreign: frozenset[tuple[bool, int]] = frozenset()

    @property
    def count(self) -> int:
        return sum(map(len, self.present.values())) + sum(map(len, self.lines.values()))

    def any(self, is_tag: bool) -> bool:
        """Whether there is anything of that kind."""
        return any(kind is is_tag for kind, _ in chain(self.present, self.lines))

    def owned(self, is_tag: bool, frames: Iterable[int]) -> list[Owned]:
        return [Owned(line.id, line.content) for frame in frames for line in self.lines.get((is_tag, frame), ())]

    def there(self, is_tag: bool, frames: Iterable[int]) -> list[Present]:
        return [shape for frame in frames for shape in self.present.get((is_tag, frame), ())]

    def others(self, is_tag: bool) -> Collection[int]:
        return {id_ for kind, id_ in self.foreign if kind is is_tag}

    def renumber(self, is_tag: bool, ids: Mapping[int, int]) -> None:
        """The ledger's old ids became new ones."""
        for (kind, _), lines in self.lines.items():
            if kind is is_tag:
                lines[:] = [
                    Line(ids.get(line.id, line.id), line.is_tag, line.frame, line.hash, line.content) for line in lines
                ]


def by_place(lines: Iterable[Line]) -> dict[Place, list[Line]]:
    found: dict[Place, list[Line]] = {}
    for line in lines:
        found.setdefault((line.is_tag, line.frame), []).append(line)
    return found


def present_in(annotations: Mapping[str, Any], reading: Reading, defaults: Defaults) -> dict[Place, list[Present]]:
    """CVAT's answer to a GET of a job's annotations; new is what `reading` had not seen."""
    found: dict[Place, list[Present]] = {}
    for is_tag, name, before in ((False, "shapes", reading.shapes), (True, "tags", reading.tags)):
        bodies = annotations[name]
        for body, content in zip(bodies, contents_of(bodies, defaults), strict=True):
            shape = Present(body["id"], content, body, body["id"] not in before)
            found.setdefault((is_tag, body["frame"]), []).append(shape)
    return found


def line_of(shape: Present, is_tag: bool, frame: int) -> Line:
    """The ledger's line for a shape that turned out to be ours."""
    return Line(shape.id, is_tag, frame, content_hash(shape.content), shape.content)


def lines_of(answer: Mapping[str, Any], places: Sequence[Place], defaults: Defaults) -> list[Line] | None:
    """The ledger's lines for CVAT's answer to a creation, in its order (shapes, then tags).

    `places`: kind and frame of what was sent, in the same order. None where the answer does not fit them.
    """
    shapes, tags = answer.get("shapes") or [], answer.get("tags") or []
    bodies = [*shapes, *tags]
    if [(index >= len(shapes), body["frame"]) for index, body in enumerate(bodies)] != list(places):
        return None
    contents = contents_of(bodies, defaults)
    return [
        Line(body["id"], is_tag, frame, content_hash(content), content)
        for body, content, (is_tag, frame) in zip(bodies, contents, places, strict=True)
    ]
