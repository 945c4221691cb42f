"""A shape's content in normal form: equal for two shapes that a person could not tell apart.

The form is bytes: `[frame, type, label, …]` as JSON without the points, a line feed, the points as float64. What an
answer leaves out (defaults of attributes, `group`) and what varies without meaning (the order of attributes and of a
skeleton's elements, 0 against 0.0) is the same here. `id` and `z_order` are no part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

Content = bytes
Defaults = Mapping[int, str]
"""Default value by attribute id: an attribute at its default is as good as one that is not there."""

TOLERANCE_PX = 0.01
# Below anything that matters, above what a float loses on its way through a database.
_DECIMALS = 4
_END = b"\n"
# All that `_rest` reads of a shape without attributes and elements.
_PLAIN = ("frame", "type", "label_id", "source", "rotation", "group", "occluded", "outside")


def contents_of(shapes: Sequence[Mapping[str, Any]], defaults: Defaults) -> list[Content]:
    """The content of each of `shapes` (CVAT's shapes or tags, as sent, answered or read)."""
    parts = [_elements(shape) for shape in shapes]
    points = [
        [*shape.get("points", ()), *chain.from_iterable(element["points"] for element in elements)]
        if elements
        else shape.get("points", ())
        for shape, elements in zip(shapes, parts, strict=True)
    ]
    counts = [len(values) for values in points]
    flat = np.fromiter(chain.from_iterable(points), np.float64, sum(counts))
    # Adding zero turns -0.0 into 0.0.
    rounded = np.round(flat, _DECIMALS) + 0.0
    flat_bytes, width = rounded.tobytes(), rounded.itemsize
    plain: dict[tuple[Any, ...], bytes] = {}
    found, start = [], 0
    for shape, elements, count in zip(shapes, parts, counts, strict=True):
        stop = start + count * width
        if elements or shape.get("attributes"):
            key = orjson.dumps(_rest(shape, elements, defaults)) + _END
        else:  # of thousands of shapes only a few differ in more than their points
            same = tuple(map(shape.get, _PLAIN))
            if (known := plain.get(same)) is None:
                known = plain[same] = orjson.dumps(_rest(shape, elements, defaults)) + _END
            key = known
        found.append(key + flat_bytes[start:stop])
        start = stop
    return found


def content_hash(content: Content) -> bytes:
    """16 bytes."""
    return hashlib.blake2b(content, digest_size=16).digest()


def key_of(content: Content) -> bytes:
    """Everything but the points."""
    return content[: content.index(_END)]


def points_of(content: Content) -> NDArray[np.float64]:
    """The points, and those of a skeleton's elements, flat: float64 [2n] (for masks the run lengths and the box)."""
    return np.frombuffer(content, np.float64, offset=content.index(_END) + 1)


def frame_and_label(content: Content) -> tuple[int, int]:
    frame, _, label, *_ = orjson.loads(key_of(content))
    return frame, label


def are_close(first: Content, second: Content) -> bool:
    """Whether both are the same but for points that differ by a hundredth of a pixel at most."""
    if first == second:
        return True
    if key_of(first) != key_of(second):
        return False
    a, b = points_of(first), points_of(second)
    return len(a) == len(b) and bool((np.abs(a - b) <= TOLERANCE_PX + 1e-9).all())


def pair(wanted: Iterable[tuple[int, Content]], there: Iterable[tuple[int, Content]]) -> dict[int, int]:
    """Each of `wanted` with one of `there` of the same content, as multisets: number → number, none used twice.

    Equal ones first, so that a near neighbour never takes the place of an exact one.
    """
    exact: dict[Content, list[int]] = {}
    left: dict[int, Content] = {}
    for number, content in there:
        exact.setdefault(content, []).append(number)
        left[number] = content
    found: dict[int, int] = {}
    missing: list[tuple[int, Content]] = []
    for number, content in wanted:
        if same := exact.get(content):
            found[number] = same.pop(0)
            del left[found[number]]
        else:
            missing.append((number, content))
    if not (missing and left):
        return found
    near: dict[bytes, list[int]] = {}
    for number, content in left.items():
        near.setdefault(key_of(content), []).append(number)
    for number, content in missing:
        candidates = near.get(key_of(content), [])
        match = next((other for other in candidates if are_close(content, left[other])), None)
        if match is not None:
            found[number] = match
            candidates.remove(match)
    return found


def _elements(shape: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    elements = shape.get("elements")
    return sorted(elements, key=lambda element: element["label_id"]) if elements else []


def _rest(shape: Mapping[str, Any], elements: Sequence[Mapping[str, Any]], defaults: Defaults) -> list[Any]:
    return [
        shape["frame"],
        shape.get("type", "tag"),
        shape["label_id"],
        shape.get("source") or "manual",
        *_state(shape, defaults),
        [[element["label_id"], len(element["points"]), *_state(element, defaults)] for element in elements],
    ]


def _state(shape: Mapping[str, Any], defaults: Defaults) -> list[Any]:
    attributes = sorted(
        (given["spec_id"], str(given["value"]))
        for given in shape.get("attributes") or ()
        if defaults.get(given["spec_id"]) != str(given["value"])
    )
    return [
        float(shape.get("rotation") or 0),
        shape.get("group") or 0,
        bool(shape.get("occluded")),
        bool(shape.get("outside")),
        attributes,
    ]
