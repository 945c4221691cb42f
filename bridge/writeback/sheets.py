"""Wanted shapes as the JSON that CVAT takes, made once and put together into requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

Key = tuple[int, int]
"""A wanted shape: its frame, and its place among that frame's shapes."""

# 2,000 polygons take CVAT about a second: big enough to be quick, small enough to be cancelled between.
CHUNK_ROWS = 2000
CHUNK_BYTES = 8 << 20


class Sheet(NamedTuple):
    """A wanted shape (or tag) with its JSON."""

    key: Key
    body: bytes
    is_tag: bool

    @property
    def rows(self) -> int:
        """How many rows CVAT makes of it: a skeleton has one an element."""
        return self.body.count(b'"points":[') or 1


def sheets_of(frame: int, bodies: Sequence[bytes], tags: int) -> list[Sheet]:
    """The sheets of one frame; the last `tags` of `bodies` are tags."""
    first_tag = len(bodies) - tags
    return [Sheet((frame, index), body, index >= first_tag) for index, body in enumerate(bodies)]


def portions(sheets: Sequence[Sheet], rows: int = CHUNK_ROWS, size: int = CHUNK_BYTES) -> Iterator[list[Sheet]]:
    """`sheets` in order, in requests of at most `rows` rows and `size` bytes (one sheet at least)."""
    part: list[Sheet] = []
    part_rows = part_size = 0
    for sheet in sheets:
        if part and (part_rows + sheet.rows > rows or part_size + len(sheet.body) > size):
            yield part
            part, part_rows, part_size = [], 0, 0
        part.append(sheet)
        part_rows += sheet.rows
        part_size += len(sheet.body)
    if part:
        yield part


def creation(sheets: Sequence[Sheet]) -> bytes:
    """The body of a request that creates `sheets`, shapes first."""
    shapes = b",".join(sheet.body for sheet in sheets if not sheet.is_tag)
    tags = b",".join(sheet.body for sheet in sheets if sheet.is_tag)
    return b'{"shapes":[' + shapes + b'],"tags":[' + tags + b'],"tracks":[]}'


def deletion(is_tag: bool, bodies: Sequence[Mapping[str, Any]]) -> bytes:
    """The body of a request that deletes what CVAT gave as `bodies`."""
    return orjson.dumps({"shapes": [], "tags": [], "tracks": [], "tags" if is_tag else "shapes": list(bodies)})
