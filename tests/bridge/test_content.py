"""When two shapes are the same: what CVAT answers to what it was sent, and whatever nobody can see a difference in."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.writeback.content import are_close, content_hash, contents_of, frame_and_label, pair, points_of
from tests.bridge.recorded import RECORDINGS

POLYGON: dict[str, Any] = {
    "type": "polygon", "frame": 3, "label_id": 7, "points": [1, 2.25, 30, 4, 5.5, 60], "source": "auto",
    "attributes": [{"spec_id": 1, "value": "a"}, {"spec_id": 2, "value": "b"}], "occluded": False, "outside": False,
    "rotation": 0, "z_order": 0, "group": None,
}  # fmt: skip
SKELETON: dict[str, Any] = {
    "type": "skeleton", "frame": 0, "label_id": 76, "points": [], "source": "auto",
    "elements": [
        {"type": "points", "frame": 0, "label_id": 77 + i, "points": [10.0 * i, 5.0], "outside": False,
         "occluded": i == 2, "attributes": []}
        for i in range(4)
    ],
}  # fmt: skip


def one(shape: dict[str, Any], **changed: Any) -> bytes:
    return contents_of([{**shape, **changed}], {})[0]


def exchanges() -> list[Any]:
    data = json.loads((RECORDINGS / "http" / "06_job_annotations.json").read_text())
    return [e for e in data["exchanges"] if "delivery" not in e]


def test_what_cvat_answers_to_a_creation_is_what_was_sent() -> None:
    """Over every creation that was recorded; the attributes' defaults are what CVAT leaves out and fills in."""
    compared = 0
    for exchange in exchanges():
        if exchange["method"] != "PATCH" or exchange["query"].get("action") != "create" or exchange["status"] != 200:
            continue
        sent, answered = exchange["request_body"], exchange["response_body"]
        for kind in ("shapes", "tags"):
            one_side = contents_of(sent.get(kind) or [], {})
            other_side = contents_of(answered.get(kind) or [], {})
            assert one_side == other_side, exchange["n"]
            compared += len(one_side)
    assert compared > 30


def test_what_a_later_get_shows_is_what_was_answered() -> None:
    """06:4 created one shape of every kind with attributes; 06:5 lists them in another order."""
    by_number = {exchange["n"]: exchange for exchange in exchanges()}
    labels = by_number[1]["response_body"]["results"]
    defaults = {a["id"]: a["default_value"] for label in labels for a in label["attributes"]}
    answered, listed = by_number[4]["response_body"], by_number[5]["response_body"]
    assert len(answered["shapes"]) == 8
    for kind in ("shapes", "tags"):
        assert sorted(contents_of(answered[kind], defaults)) == sorted(contents_of(listed[kind], defaults))


SAME = [
    {"group": 0},
    {"rotation": 0.0},
    {"z_order": 5},
    {"id": 99},
    {"score": 0.4},
    {"points": [1.0, 2.25, 30.0, 4.0, 5.5, 60.0]},
    {"points": [1.00001, 2.25, 30, 4, 5.5, 60]},
    {"attributes": [{"spec_id": 2, "value": "b"}, {"spec_id": 1, "value": "a"}]},
    {"elements": []},
]
OTHER = [
    {"type": "polyline"},
    {"frame": 4},
    {"label_id": 8},
    {"points": [1, 2.25, 30, 4, 5.5, 61]},
    {"points": [1, 2.25, 30, 4, 5.5, 60, 7, 7]},
    {"source": "manual"},
    {"attributes": [{"spec_id": 1, "value": "z"}, {"spec_id": 2, "value": "b"}]},
    {"attributes": [{"spec_id": 1, "value": "a"}]},
    {"occluded": True},
    {"outside": True},
    {"rotation": 10.0},
    {"group": 3},
]


@pytest.mark.parametrize("changed", SAME)
def test_what_makes_no_difference(changed: dict[str, Any]) -> None:
    assert one(POLYGON, **changed) == one(POLYGON)
    assert content_hash(one(POLYGON, **changed)) == content_hash(one(POLYGON))


@pytest.mark.parametrize("changed", OTHER)
def test_what_makes_one(changed: dict[str, Any]) -> None:
    assert not are_close(one(POLYGON, **changed), one(POLYGON))


def test_an_attribute_at_its_default_is_as_good_as_none() -> None:
    bare = contents_of([{**POLYGON, "attributes": [{"spec_id": 1, "value": "a"}]}], {2: "b"})
    assert contents_of([POLYGON], {2: "b"}) == bare


def test_a_skeletons_elements_come_in_any_order() -> None:
    turned = {**SKELETON, "elements": SKELETON["elements"][::-1]}
    assert one(turned) == one(SKELETON)


@pytest.mark.parametrize("changed", [{"occluded": True}, {"points": [0.0, 5.1]}, {"outside": True}])
def test_one_moved_element_is_a_difference(changed: dict[str, Any]) -> None:
    elements = [{**SKELETON["elements"][0], **changed}, *SKELETON["elements"][1:]]
    assert not are_close(one({**SKELETON, "elements": elements}), one(SKELETON))


@given(st.lists(st.floats(-1e4, 1e4), min_size=6, max_size=12).filter(lambda p: len(p) % 2 == 0), st.floats(0, 0.0099))
def test_a_hundredth_of_a_pixel_is_none(points: list[float], by: float) -> None:
    moved = [value + by for value in points]
    assert are_close(one(POLYGON, points=points), one(POLYGON, points=moved))
    assert not are_close(one(POLYGON, points=points), one(POLYGON, points=[points[0] + 0.02, *points[1:]]))


def test_content_tells_frame_label_and_points() -> None:
    content = one(POLYGON, points=[10, 20, 10.123456, 2, 3, 4])
    assert frame_and_label(content) == (3, 7)
    assert np.allclose(points_of(content), [10, 20, 10.1235, 2, 3, 4])


def test_pairs_are_multisets_and_exact_ones_come_first() -> None:
    near, exact = one(POLYGON, points=[0.005, 0, 9, 0, 9, 9]), one(POLYGON, points=[0, 0, 9, 0, 9, 9])
    found = pair([(0, exact), (1, exact), (2, exact)], [(10, near), (11, exact)])
    assert found[0] == 11
    assert sorted(found.items()) == [(0, 11), (1, 10)]
