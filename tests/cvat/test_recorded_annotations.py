"""Labels and annotations as recorded: what is refused, what is stored, what comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.cvat.ids import Ids, match
from tests.cvat.outcomes import as_recorded, recorded
from tests.support.cvat import Cvat, pictures

FOREIGN = 999_999


@pytest.fixture
def reef(cvat: Cvat) -> tuple[int, dict[str, int]]:
    """A job of two frames in a project with the recorded labels, and these labels' ids."""
    project = cvat.project(recorded("labels_request"))
    return cvat.task(project, pictures(2)).jobs[0], cvat.labels(project)


def test_labels_come_back_as_recorded(cvat: Cvat) -> None:
    project = cvat.project(recorded("labels_request"))
    listed = cvat.http.get("/api/labels", params={"project_id": project})
    match(recorded("labels_response_2.80.0"), as_recorded(cvat, listed.text), Ids(), "labels")


def test_a_skeleton_of_117_points_is_taken_and_its_drawing_gets_the_ids_of_its_parts(cvat: Cvat) -> None:
    label = recorded("skeleton117_request")
    project = cvat.project([label])
    ids = cvat.labels(project)
    listed = cvat.get("/api/labels", project_id=project)["results"][0]
    assert len(listed["sublabels"]) == 117
    assert listed["svg"].count("data-label-id=") == 117
    assert "data-label-name" not in listed["svg"]
    job = cvat.task(project, pictures(1)).jobs[0]
    elements = [
        {"type": "points", "frame": 0, "label_id": ids[f"{label['name']}/{part['name']}"], "points": [index, 1]}
        for index, part in enumerate(label["sublabels"])
    ]
    cvat.add_shapes(job, [{"type": "skeleton", "frame": 0, "label_id": ids[label["name"]], "elements": elements}])
    assert len(cvat.shapes(job)[0]["elements"]) == 117


def test_annotations_come_back_as_recorded(cvat: Cvat, reef: tuple[int, dict[str, int]]) -> None:
    job, labels = reef
    trip = recorded("annotations_roundtrip_2.80.0")
    ids = _learned(labels, cvat, job)
    cvat.call("PUT", f"/api/jobs/{job}/annotations", json={"shapes": ids.in_body(trip["sent"])})
    match(trip["read_back"], cvat.annotations(job), ids, "annotations")


def _learned(labels: Mapping[str, int], cvat: Cvat, job: int) -> Ids:
    ids = Ids()
    names = ("Acropora", "seed", "any1", "quadrat", "quadrat/tl", "quadrat/tr", "quadrat/br", "quadrat/bl")
    for number, name in enumerate(names, 379):
        ids.learn("label", number, labels[name])
    (label,) = (row for row in cvat.get("/api/labels", job_id=job)["results"] if row["name"] == "Acropora")
    ids.learn("attribute", 4, label["attributes"][0]["id"])
    return ids


def _shape(kind: str, label: int, points: list[float], **more: Any) -> dict[str, Any]:
    return {"type": kind, "frame": 0, "label_id": label, "points": points, "source": "auto", **more}


def _element(label: int) -> dict[str, Any]:
    return {"type": "points", "frame": 0, "label_id": label, "points": [5, 5], "source": "auto"}


GOOD = [1, 1, 50, 1, 50, 50]
SENT: dict[str, dict[str, Any]] = {
    "baseline": _shape("polygon", 379, GOOD),
    "minimal (no source)": {"type": "polygon", "frame": 0, "label_id": 379, "points": GOOD},
    "bogus source": _shape("polygon", 379, GOOD) | {"source": "bogus"},
    "source file": _shape("polygon", 379, GOOD) | {"source": "file"},
    "source consensus": _shape("polygon", 379, GOOD) | {"source": "consensus"},
    "unknown label id": _shape("polygon", FOREIGN, GOOD),
    "sublabel id as top label": _shape("points", 383, [1, 1]),
    "polygon 2 points": _shape("polygon", 379, [1, 1, 2, 2]),
    "polygon odd number": _shape("polygon", 379, [1, 1, 2, 2, 3, 3, 4]),
    "points outside image": _shape("polygon", 379, [-10, -10, 5000, 1, 50, 5000]),
    "negative frame": _shape("polygon", 379, GOOD, frame=-1),
    "frame beyond task": _shape("polygon", 379, GOOD, frame=99),
    "empty points": _shape("polygon", 379, []),
    "unknown extra field": _shape("polygon", 379, GOOD, bridge="kelp"),
    "mask tail wrong sum": _shape("mask", 381, [1, 4, 1, 100, 200, 105, 203]),
    "mask no bbox": _shape("mask", 381, [1, 4, 1]),
    "mask float rle": _shape("mask", 381, [0, 24, 100.5, 200.5, 105.5, 203.5]),
    "mask for polygon label": _shape("mask", 379, [0, 24, 100, 200, 105, 203]),
    "rectangle 3 numbers": _shape("rectangle", 381, [1, 2, 3]),
    "rectangle reversed": _shape("rectangle", 381, [50, 50, 10, 10]),
    "ellipse": _shape("ellipse", 381, [100, 100, 150, 60]),
    "unknown type": _shape("blob", 379, GOOD),
    "skeleton missing one element": _shape(
        "skeleton", 382, [], elements=[_element(label) for label in (383, 384, 385)]
    ),
    "skeleton no elements": _shape("skeleton", 382, [], elements=[]),
    "skeleton element with foreign label": _shape("skeleton", 382, [], elements=[_element(380)]),
    "attribute unknown spec": _shape("polygon", 379, GOOD, attributes=[{"spec_id": 99999, "value": "x"}]),
    "attribute bad value": _shape("polygon", 379, GOOD, attributes=[{"spec_id": 4, "value": "no-such"}]),
    "group 5": _shape("polygon", 379, GOOD, group=5),
}


def test_what_is_refused_and_what_is_stored_is_as_recorded(cvat: Cvat, reef: tuple[int, dict[str, int]]) -> None:
    job, labels = reef
    ids = _learned(labels, cvat, job)
    outcomes = recorded("annotation_validation")
    assert set(outcomes) == set(SENT)
    for name, outcome in outcomes.items():
        cvat.call("PUT", f"/api/jobs/{job}/annotations", json={})
        shape = ids.in_body(SENT[name])
        answer = cvat.http.patch(f"/api/jobs/{job}/annotations", params={"action": "create"}, json={"shapes": [shape]})
        assert answer.status_code == outcome["status"], name
        if answer.status_code == 400:
            match(json.loads(outcome["body"]), answer.json(), ids, name)
        stored = [{**row, "elements": len(row["elements"])} for row in cvat.shapes(job)]
        kept = [{key: row[key] for key in outcome["stored"][0]} for row in stored] if outcome["stored"] else stored
        match(outcome["stored"], kept, ids, name)
