"""A skeleton's drawing is what CVAT's own editor makes, and CVAT finds every point in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kelp.card import Label, Sublabel
from kelp.card.skeleton import svg_of

RECORDED = Path(__file__).parents[1] / "recordings" / "skeleton117_request.json"


def skeleton(count: int, **more: object) -> Label:
    return Label(name="s", type="skeleton", sublabels=[Sublabel(name=f"p{i:03d}") for i in range(count)], **more)


def edges(svg: str) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in re.findall(r'data-node-from="(\d+)" data-node-to="(\d+)"', svg)}


def test_the_nodes_of_a_grid_are_those_of_a_recorded_skeleton() -> None:
    recorded = json.loads(RECORDED.read_text())["svg"]
    nodes = re.findall(r"<circle .*?</circle>", recorded)
    assert len(nodes) == 117
    assert re.findall(r"<circle .*?</circle>", svg_of(skeleton(117), (9, 13))) == nodes


def test_a_grid_is_joined_along_rows_and_columns() -> None:
    assert edges(svg_of(skeleton(6), (2, 3))) == {(1, 2), (2, 3), (4, 5), (5, 6), (1, 4), (2, 5), (3, 6)}


def test_four_corners_are_a_square_that_does_not_cross_itself() -> None:
    svg = svg_of(skeleton(4))
    assert edges(svg) == {(1, 2), (2, 3), (3, 4), (4, 1)}
    assert re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg) == [
        ("10.000", "10.000"), ("90.000", "10.000"), ("90.000", "90.000"), ("10.000", "90.000"),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 3, 5, 117])
def test_any_other_number_lies_apart_inside_the_square(count: int) -> None:
    places = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg_of(skeleton(count)))
    assert len(set(places)) == count
    assert all(0 < float(value) < 100 for place in places for value in place)


def test_a_drawing_of_the_cards_own_stays() -> None:
    assert svg_of(skeleton(4, svg="<circle/>")) == "<circle/>"
    assert svg_of(Label(name="x", type="polygon")) == ""


def test_names_are_quoted_as_the_server_looks_for_them() -> None:
    label = Label(name="s", type="skeleton", sublabels=[Sublabel(name='a "b" <c>')])
    assert 'data-label-name="a &quot;b&quot; &lt;c&gt;"' in svg_of(label)


def test_the_server_knows_every_point_again(cvat) -> None:
    label = skeleton(117)
    body = {
        "name": "s", "type": "skeleton", "svg": svg_of(label, (9, 13)),
        "sublabels": [{"name": s.name, "type": "points", "attributes": []} for s in label.sublabels],
    }  # fmt: skip
    project = cvat.project([body])
    (read,) = cvat.all("/api/labels", project_id=project)
    drawn = re.findall(r'data-label-id="(\d+)"', read["svg"])
    names = {str(part["id"]): part["name"] for part in read["sublabels"]}
    assert [names[number] for number in drawn] == [s.name for s in label.sublabels]
