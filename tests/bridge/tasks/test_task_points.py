"""Which points of a skeleton are which, whatever order CVAT tells them in."""

from __future__ import annotations

from bridge.cvat.objects import Label
from bridge.tasks.points import choose_label, points_of


def test_points_keep_the_order_in_which_they_were_drawn() -> None:
    # A server lists parts as its database finds them; seen rotated on CVAT 2.42.
    parts = [{"id": 10 + number, "name": str(number), "type": "points"} for number in (2, 3, 4, 1)]
    label = Label.of({"id": 1, "name": "quadrat", "type": "skeleton", "sublabels": parts})
    wanted = choose_label([label], [], count=4, noun="quadrat")
    corners = {11: [0, 0], 12: [9, 0], 13: [9, 9], 14: [0, 9]}
    elements = [{"label_id": part["id"], "points": corners[part["id"]]} for part in parts]
    found = points_of([{"label_id": 1, "type": "skeleton", "elements": elements}], wanted)
    assert found == [0, 0, 9, 0, 9, 9, 0, 9]
