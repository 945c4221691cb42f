"""From a model's answer to what CVAT is sent: labels found, shapes right for them, nothing wrong let through."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from bridge.cvat.objects import Label
from bridge.detect.convert import Converter, found_by, outputs_for
from bridge.detect.frames import Frame
from bridge.detect.infer import Answered, SetAside
from bridge.detect.labels import defaults_of, resolve
from bridge.detect.validate import fault
from bridge.events.parameters import parse_query
from kelp.detections import Detections
from kelp.errors import InvalidRequest

SIZE = (100, 200)


def label(id_: int, name: str, kind: str = "polygon", **more: Any) -> Label:
    return Label.of({"id": id_, "name": name, "type": kind, **more})


def skeleton(id_: int, name: str, points: str) -> Label:
    return label(id_, name, "skeleton", sublabels=[{"id": id_ * 100 + n, "name": p} for n, p in enumerate(points)])


def detections(
    boxes: list[tuple[int, list[float]]], names: tuple[str, ...] = ("coral", "rock"), **columns: Any
) -> Detections:
    """(label id, box) of one image; contours and masks are the boxes."""
    count = len(boxes)
    box = np.array([b for _, b in boxes], np.float32).reshape(count, 4)
    corners = box[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    runs = [
        [0, int((x2 - x1) * (y2 - y1)), int(x1), int(y1), int(x2) - 1, int(y2) - 1] for x1, y1, x2, y2 in box.tolist()
    ]
    return Detections(
        image_index=np.zeros(count, np.int32),
        label_id=np.array([i for i, _ in boxes], np.int32),
        labels=names,
        score=np.linspace(0.9, 0.5, count, dtype=np.float32),
        box=box,
        image_size=np.array([SIZE], np.int32),
        polygon_offsets=np.arange(0, 4 * count + 1, 4, dtype=np.int32),
        polygon_points=corners.astype(np.float32),
        mask_offsets=np.arange(0, 6 * count + 1, 6, dtype=np.int32),
        mask_rle=np.array(runs, np.int32).ravel(),
        **columns,
    )


def convert(labels: list[Label], found: Detections, query: str = "", **options: Any) -> tuple[list[Any], Any, Any]:
    """The shapes of frame 7, its row, and what was counted."""
    options = {"task": "segment", "sizes": {7: SIZE}, **options}
    converter = Converter(
        labels,
        parse_query("model_name=m" + query),
        options["sizes"],
        task=options["task"],
        points=options.get("points"),
    )
    (row,), findings = converter.convert(Answered([Frame(7, b"")], found))
    return [orjson.loads(body) for body in row.bodies], row, findings


TWO = [(0, [10, 20, 60, 70]), (1, [100.5, 0, 150, 40])]


def test_each_label_gets_the_shape_of_its_own_type() -> None:
    shapes, row, _ = convert([label(5, "coral"), label(6, "rock", "rectangle")], detections(TWO))
    assert [(s["type"], s["label_id"], s["frame"]) for s in shapes] == [("polygon", 5, 7), ("rectangle", 6, 7)]
    assert shapes[0]["points"] == [10, 20, 60, 20, 60, 70, 10, 70]
    assert shapes[1]["points"] == [100.5, 0, 150, 40]
    assert [s["source"] for s in shapes] == ["auto", "auto"]
    assert [round(score, 2) for score in row.scores] == [0.9, 0.5]
    assert [s["score"] for s in shapes] == [0.9, 0.5]


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("&conv_mask_to_poly=false", ["mask", "rectangle"]),
        ("&conv_mask_to_poly=true", ["polygon", "rectangle"]),
        ("&shape=polyline", ["polyline", "polyline"]),
        ("&shape=rectangle", ["rectangle", "rectangle"]),
    ],
)
def test_the_query_decides_where_it_says_something(query: str, kinds: list[str]) -> None:
    shapes, _, _ = convert([label(5, "coral"), label(6, "rock", "rectangle")], detections(TWO), query)
    assert [s["type"] for s in shapes] == kinds


def test_masks_are_run_lengths_and_an_inclusive_box() -> None:
    shapes, _, _ = convert([label(5, "coral", "mask")], detections([(0, [10, 20, 60, 70])]))
    assert shapes[0]["points"] == [0, 2500, 10, 20, 59, 69]


def test_a_tag_is_one_a_frame_and_the_surest() -> None:
    found = detections([(0, [10, 20, 60, 70]), (0, [0, 0, 9, 9]), (1, [5, 5, 9, 9])])
    shapes, row, _ = convert([label(5, "coral", "tag"), label(6, "rock")], found)
    assert row.tags == 1
    assert [("type" in s, s["label_id"], round(s["score"], 2)) for s in shapes] == [(True, 6, 0.5), (False, 5, 0.9)]


def test_what_the_project_lacks_is_counted_by_name() -> None:
    shapes, _, findings = convert([label(6, "rock")], detections([*TWO, (0, [1, 1, 5, 5])]))
    assert len(shapes) == 1
    assert findings.to_json() == {"labels_lacking": {"coral": 2}}


@pytest.mark.parametrize("query", ["", "&shape=polyline", "&shape=mask", "&shape=rectangle", "&shape=polygon"])
@pytest.mark.parametrize("kind", ["ellipse", "cuboid", "skeleton", "points"])
def test_types_that_no_outline_can_fill_are_set_aside_and_counted_whatever_is_forced(kind: str, query: str) -> None:
    parts = {"sublabels": [{"id": 50, "name": "a"}]} if kind == "skeleton" else {}
    found = detections([(0, [10, 20, 60, 70]), (1, [100, 0, 150, 40])])
    shapes, _, findings = convert([label(5, "coral", kind, **parts), label(6, "rock")], found, query)
    assert [s["label_id"] for s in shapes] == [6]
    assert findings.to_json() == {"labels_unsuited": {"coral": 1}}


def test_what_lies_outside_is_clipped_and_what_is_left_of_nothing_is_counted() -> None:
    found = detections([(0, [-10, 90, 20, 130]), (0, [300, 300, 320, 320])])
    shapes, _, findings = convert([label(5, "coral", "rectangle")], found)
    assert [s["points"] for s in shapes] == [[0, 90, 20, 100]]
    assert findings.refused.total() == 1


def test_a_frame_seen_in_another_size_is_set_aside() -> None:
    shapes, row, _ = convert([label(5, "coral")], detections(TWO), sizes={7: (200, 100)})
    assert shapes == []
    assert "200x100" in row.error
    assert "100x200" in row.error


def test_a_frame_of_unknown_size_is_taken_as_the_model_saw_it() -> None:
    assert len(convert([label(5, "coral")], detections(TWO), sizes={})[0]) == 1


def test_a_frame_that_was_not_answered_keeps_its_reason() -> None:
    converter = Converter([label(5, "coral")], parse_query("model_name=m"), {}, task="segment")
    (row,), _ = converter.convert(SetAside(3, "broken"))
    assert (row.frame, row.error, list(row.bodies)) == (3, "broken", [])


# Poses


def pose(points: list[list[float]]) -> Detections:
    keypoints = np.array([points], np.float32)
    return detections([(0, [0, 0, 50, 50])], names=("quadrat",), keypoints=keypoints)


CORNERS = [[1, 2, 0.9], [40, 3, 0.8], [41, 42, 0.1], [2, 43, 0.7]]


def test_a_skeletons_points_go_by_name_and_guessed_ones_are_hidden_not_absent() -> None:
    shuffled = skeleton(9, "quadrat", "dbca")
    shapes, _, _ = convert([shuffled], pose(CORNERS), task="pose", points={"quadrat": tuple("abcd")})
    ids = {part.name: part.id for part in shuffled.sublabels}
    elements = {e["label_id"]: e for e in shapes[0]["elements"]}
    assert shapes[0]["type"] == "skeleton"
    assert [elements[ids[name]]["points"] for name in "abcd"] == [[1, 2], [40, 3], [41, 42], [2, 43]]
    assert [elements[ids[name]]["occluded"] for name in "abcd"] == [False, False, True, False]
    assert not any(e["outside"] for e in shapes[0]["elements"])


def test_a_skeleton_that_lacks_a_point_is_named() -> None:
    _, _, findings = convert(
        [skeleton(9, "quadrat", "abc")], pose(CORNERS), task="pose", points={"quadrat": tuple("abcd")}
    )
    assert findings.to_json() == {"labels_unsuited": {"quadrat": 1}}
    resolution = resolve(
        ["quadrat"],
        [skeleton(9, "quadrat", "abc")],
        parse_query("model_name=m"),
        "keypoints",
        points={"quadrat": "abcd"},
    )
    assert "lacks the points d" in str(resolution.why_nothing([]))


def test_a_skeleton_with_more_points_than_were_found_is_refused_not_half_written() -> None:
    shapes, _, findings = convert([skeleton(9, "quadrat", "abcde")], pose(CORNERS), task="pose")
    assert shapes == []
    assert findings.refused.total() == 1


# Labels

NAMES = ["Coral", "coral", "Rock"]
MATCHES = [
    ("coral", "", "coral"),
    ("Coral", "", "Coral"),
    ("CORAL", "", None),  # two could be meant
    ("rock", "", "Rock"),
    ("sand", "", None),
    ("sand", "&label_map=sand:rock", "Rock"),
    ("sand", "&label_map=sand:ROCK", "Rock"),
    ("rock", "&label_map=rock:", None),
    ("rock", "&labels=sea", None),
    ("rock", "&labels=rock,sea", "Rock"),
    ("rock", "&labels=ROCK", "Rock"),
    ("rock", "&label_map=Rock:coral", "coral"),
]


@pytest.mark.parametrize(("name", "query", "goes_to"), MATCHES)
def test_labels_match_exactly_or_else_uniquely_without_case(name: str, query: str, goes_to: str | None) -> None:
    labels = [label(n, text) for n, text in enumerate(NAMES)]
    resolution = resolve([name, "sea"], labels, parse_query("model_name=m" + query), "masks")
    target = resolution.targets.get(name)
    assert (None if target is None else NAMES[target.label_id]) == goes_to


@pytest.mark.parametrize("query", ["&labels=rok", "&label_map=rok:rock", "&labels=CORAL", "&label_map=rock:a,Rock:b"])
def test_a_label_that_the_model_lacks_is_never_taken_for_none(query: str) -> None:
    with pytest.raises(InvalidRequest, match="parameter 'label"):
        resolve(["coral", "Coral", "rock"], [], parse_query("model_name=m" + query), "masks")
    resolve([], [], parse_query("model_name=m" + query), "masks")  # nobody knows the model's labels yet


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "label_map"),
        ("&label_map=coral:,rock:", "drop them all"),
        ("&labels=coral&label_map=coral:", "drop them all"),
    ],
)
def test_no_label_left_is_told_in_words(query: str, told: str) -> None:
    labels = [label(1, "Acropora")]
    resolution = resolve(["coral", "rock"], labels, parse_query("model_name=m" + query), "masks")
    assert told in str(resolution.why_nothing(["Acropora"]))


def test_every_attribute_gets_its_default_and_the_score_its_own_scale() -> None:
    attributes = [
        {
            "id": 1,
            "name": "species",
            "input_type": "select",
            "values": ["unknown", "grass"],
            "default_value": "unknown",
        },
        {"id": 2, "name": "Score", "input_type": "number", "values": ["0", "100", "1"], "default_value": "0"},
        {"id": 3, "name": "seen", "input_type": "checkbox", "values": ["false"], "default_value": ""},
        {"id": 4, "name": "side", "input_type": "radio", "values": ["left", "right"], "default_value": ""},
        {"id": 5, "name": "note", "input_type": "text", "values": [""], "default_value": ""},
    ]
    coral = label(5, "coral", attributes=attributes)
    shapes, _, _ = convert([coral], detections(TWO[:1]))
    values = {a["spec_id"]: a["value"] for a in shapes[0]["attributes"]}
    assert values == {1: "unknown", 2: "90", 3: "false", 4: "left", 5: ""}
    assert defaults_of([coral]) == {1: "unknown", 2: "0", 3: "false", 4: "left", 5: ""}


# Which outputs are asked for


@pytest.mark.parametrize(
    ("kind", "task", "asked"),
    [
        ("polygon", "segment", {"polygon_offsets", "polygon_points"}),
        ("mask", "segment", {"mask_offsets", "mask_rle"}),
        ("rectangle", "detect", set()),
        ("tag", "segment", set()),
        ("points", "pose", {"keypoints"}),
    ],
)
def test_nothing_is_computed_that_is_not_written(kind: str, task: str, asked: set[str]) -> None:
    resolution = resolve(["coral"], [label(5, "coral", kind)], parse_query("model_name=m"), found_by(task))
    outputs = outputs_for(resolution.targets)
    assert outputs is not None
    assert set(outputs) == {"image_index", "label_id", "labels", "score", "box", "image_size"} | asked


def test_of_a_model_whose_labels_are_unknown_everything_is_asked_for() -> None:
    assert outputs_for({}) is None


# Limits

GOOD = [
    {"type": "polygon", "points": [0, 0, 200, 0, 200, 100]},
    {"type": "polyline", "points": [0, 0, 1, 1]},
    {"type": "points", "points": [200, 100]},
    {"type": "rectangle", "points": [0, 0, 200, 100]},
    {"type": "mask", "points": [0, 20000, 0, 0, 199, 99]},
    {"type": "mask", "points": [1, 2, 1, 5, 5, 6, 6]},
    {"type": "skeleton", "points": [], "elements": [{"points": [1, 1]}]},
    {"frame": 0, "label_id": 1},
]
BAD = [
    {"type": "polygon", "points": [0, 0, 200, 0]},
    {"type": "polygon", "points": [0, 0, 200, 0, 200]},
    {"type": "polygon", "points": [0, 0, 201, 0, 200, 100]},
    {"type": "polygon", "points": [0, -0.5, 200, 0, 200, 100]},
    {"type": "polygon", "points": [0, 0, float("nan"), 0, 200, 100]},
    {"type": "polygon", "points": [0, 0, float("inf"), 0, 200, 100]},
    {"type": "polyline", "points": [0, 0]},
    {"type": "rectangle", "points": [5, 5, 5, 10]},
    {"type": "rectangle", "points": [10, 5, 5, 10]},
    {"type": "rectangle", "points": [0, 0, 10]},
    {"type": "mask", "points": [0, 19999, 0, 0, 199, 99]},
    {"type": "mask", "points": [0, 20200, 0, 0, 200, 99]},
    {"type": "mask", "points": [-1, 5, 5, 5, 6, 6]},
    {"type": "mask", "points": [0, 0, 1, 1]},
    {"type": "skeleton", "points": [], "elements": []},
    {"type": "skeleton", "points": [], "elements": [{"points": [1, 1]}, {"points": [1, 101]}]},
    {"type": "cuboid", "points": [0] * 16},
]


@pytest.mark.parametrize("shape", GOOD)
def test_what_may_be_written(shape: dict[str, Any]) -> None:
    assert fault(shape, SIZE) is None


@pytest.mark.parametrize("shape", BAD)
def test_what_must_not_although_cvat_would_take_it(shape: dict[str, Any]) -> None:
    assert fault(shape, SIZE)


def test_a_label_that_is_sent_astray_ends_the_run_before_anything_is_written() -> None:
    parameters = parse_query("model_name=m&label_map=rock:Rokc")
    resolution = resolve(["coral", "rock", "sand"], [label(5, "coral"), label(6, "Rock")], parameters, "masks")
    assert set(resolution.targets) == {"coral"}
    why = resolution.why_nothing(["coral", "Rock"])
    assert why == "label_map sends rock to 'Rokc', which the project does not have; it has coral, Rock"
    # One that nobody spoke of is only counted.
    assert resolve(["coral", "sand"], [label(5, "coral")], parse_query("model_name=m"), "masks").why_nothing([]) is None
