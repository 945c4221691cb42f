"""Names, shapes and versions as a message gives them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from kelp.codec.datatypes import Datatype
from kelp.codec.fail import fail, refuse
from kelp.codec.limits import MAX_BYTES_ELEMENTS, MAX_ELEMENTS, MAX_RANK


def checked_shape(dimensions: Iterable[object], kind: Datatype, where: str) -> tuple[tuple[int, ...], int]:
    """The shape and its number of elements. InvalidRequest pointing at a dimension that is no size."""
    shape: list[int] = []
    count = bound = 1
    for axis, size in enumerate(islice(dimensions, MAX_RANK + 1)):
        if type(size) is not int or size < 0:
            raise fail(f"{where}[{axis}]", "an integer of at least 0", size)
        shape.append(size)
        count *= size
        bound *= max(size, 1)
        if bound > MAX_ELEMENTS:
            raise refuse(f"{where}[{axis}]", f"the shape has more than {MAX_ELEMENTS} elements")
    if len(shape) > MAX_RANK:
        raise fail(where, f"at most {MAX_RANK} dimensions")
    if kind.kind == "bytes" and count > MAX_BYTES_ELEMENTS:
        raise refuse(where, f"a BYTES tensor has at most {MAX_BYTES_ELEMENTS} elements, this one has {count}")
    return tuple(shape), count


def checked_name(value: object, where: str, seen: set[str]) -> str:
    """A tensor's name, not used before in `seen` (to which it is added)."""
    if not isinstance(value, str) or not value:
        raise fail(where, "a name", value)
    if value in seen:
        raise refuse(where, f"the name {value[:60]!r} is used twice")
    seen.add(value)
    return value
