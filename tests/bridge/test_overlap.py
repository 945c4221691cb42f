"""Whether a new shape lies where another is, whatever kinds the two are."""

from typing import Any

import pytest

from bridge.writeback.overlap import is_on


def polygon(x: float = 0, y: float = 0, w: float = 100, h: float = 50, kind: str = "polygon") -> dict[str, Any]:
    return {"type": kind, "points": [x, y, x + w, y, x + w, y + h, x, y + h], "frame": 0}


def box(x1: float, y1: float, x2: float, y2: float, rotation: float = 0.0) -> dict[str, Any]:
    return {"type": "rectangle", "points": [x1, y1, x2, y2], "rotation": rotation, "frame": 0}


def full_mask(left: int, top: int, width: int, height: int) -> dict[str, Any]:
    points = [0, width * height, left, top, left + width - 1, top + height - 1]
    return {"type": "mask", "points": points, "frame": 0}


def points(*places: float) -> dict[str, Any]:
    return {"type": "points", "points": list(places), "frame": 0}


def skeleton(*places: float) -> dict[str, Any]:
    elements = [{"points": list(places[i : i + 2])} for i in range(0, len(places), 2)]
    return {"type": "skeleton", "points": [], "elements": elements, "frame": 0}


TAG = {"label_id": 1, "frame": 0}
ON = [
    (polygon(), polygon()),
    (polygon(), polygon(2, 1)),
    (polygon(), polygon(kind="polyline")),
    (polygon(), box(0, 0, 100, 50)),
    (polygon(), full_mask(0, 0, 100, 50)),
    (full_mask(10, 10, 40, 40), full_mask(10, 11, 40, 40)),
    (box(0, 0, 100, 100), box(0, 0, 100, 100, rotation=90)),
    (points(1, 1, 50, 50), points(1, 1, 50, 50)),
    (skeleton(0, 0, 100, 0, 100, 100), skeleton(0, 1, 100, 0, 100, 99)),
    (TAG, TAG),
]
OFF = [
    (polygon(), polygon(10)),
    (polygon(), polygon(500)),
    (polygon(), full_mask(0, 0, 100, 40)),
    (box(0, 0, 100, 20), box(0, 0, 100, 20, rotation=90)),
    (skeleton(0, 0, 100, 100), skeleton(30, 30, 130, 130)),
    (polygon(), TAG),
    (TAG, polygon()),
    (polygon(), {"type": "mask", "points": [1, 2], "frame": 0}),
    (polygon(), {"type": "mask", "points": [5, 5, 500, 0, 0, 99, 49], "frame": 0, "label_id": 1}),
]


@pytest.mark.parametrize(("new", "other"), ON)
def test_on(new: dict[str, Any], other: dict[str, Any]) -> None:
    assert is_on(new, other)
    assert is_on(other, new)


@pytest.mark.parametrize(("new", "other"), OFF[:-1])
def test_off(new: dict[str, Any], other: dict[str, Any]) -> None:
    assert not is_on(new, other)
    assert not is_on(other, new)


def test_what_cannot_be_drawn_is_compared_by_its_box() -> None:
    assert is_on(*OFF[-1])
