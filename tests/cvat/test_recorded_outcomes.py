"""What was recorded besides the conversations: single requests with what became of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cvat.ids import Ids, match
from tests.cvat.left_out import BATCH_DELIVERIES, ISSUE_EVENTS
from tests.support.cvat import Cvat, picture, pictures, polygon, wait_for
from tests.support.receiver import Answer, Received, Receiver

RECORDINGS = Path(__file__).parents[1] / "recordings"
RECORDED_BASE = "http://127.0.0.1:8080"
ALL_EVENTS = [
    "create:job",
    "create:task",
    "delete:job",
    "delete:project",
    "delete:task",
    "update:job",
    "update:project",
    "update:task",
]
FOREIGN = 999_999


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def as_recorded(cvat: Cvat, text: str) -> Any:
    """Our JSON with the address and the user of the recordings."""
    return json.loads(text.replace(cvat.url, RECORDED_BASE).replace(f'"{cvat.user}"', '"admin"'))


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


def test_a_webhook_is_made_as_recorded(cvat: Cvat) -> None:
    made = recorded("webhook_create")
    ids = Ids()
    ids.learn("project", 9, cvat.project())
    answer = cvat.http.post("/api/webhooks", json=ids.in_body(made["request"]))
    assert answer.status_code == made["status"]
    match(made["response"], as_recorded(cvat, answer.text), ids, "webhook")


@pytest.mark.parametrize("kind", ["project", "organization"])
def test_the_events_a_webhook_can_have_are_those_recorded(cvat: Cvat, kind: str) -> None:
    assert cvat.get("/api/webhooks/events", type=kind) == recorded("webhook_events")[kind]


def test_urls_secrets_and_events_are_refused_as_recorded(cvat: Cvat) -> None:
    outcomes = recorded("webhook_failures")
    project = cvat.project()
    fields = {
        "target_url": "http://127.0.0.1:9999/ok",
        "type": "project",
        "project_id": project,
        "events": ["update:task"],
    }
    for url, (status, body) in outcomes["target_url_validation"].items():
        answer = cvat.http.post("/api/webhooks", json={**fields, "target_url": url})
        assert answer.status_code == status, url
        if status == 400:
            assert answer.json() == json.loads(body)
    for name, wrong in (("secret65", {"secret": "x" * 65}), ("bad_event", {"events": ["update:organization"]})):
        status, body = outcomes[name]
        answer = cvat.http.post("/api/webhooks", json={**fields, **wrong})
        assert (answer.status_code, answer.json()) == (status, json.loads(body))
    answer = cvat.http.post("/api/webhooks", json={**fields, "is_active": False})
    match(outcomes["minimal_create"], as_recorded(cvat, answer.text), Ids(), "webhook")


RECEIVED = {"code500": 500, "code202": 202, "code429": 429, "big": 200, "redir307": 307, "down": None}


@pytest.mark.parametrize("name", RECEIVED)
def test_the_delivery_list_says_what_the_receiver_did(cvat: Cvat, name: str) -> None:
    outcome = recorded("webhook_failures")[name]

    def answer(received: Received) -> Answer:
        if received.path == "/redirected" or name in ("code500", "code202", "code429"):
            return Answer(RECEIVED[name] if name != "redir307" else 200, b'{"ok": true}')  # type: ignore[arg-type]
        if name == "redir307":
            return Answer(307, headers={"Location": "/redirected"})
        return Answer(body=b"x" * (1 << 21))

    with Receiver(answer, cvat.server.bind_host) as receiver:
        project = cvat.project()
        # Nobody listens at the discard port.
        url = f"http://{cvat.bridge_host}:9/none" if name == "down" else receiver.url("/hook", cvat.bridge_host)
        webhook = cvat.webhook(project, url, ["create:task"])
        cvat.empty_task(project)
        (row,) = wait_for(lambda: cvat.deliveries(webhook))
        expected = outcome["delivery"]
        assert {key: row[key] for key in ("event", "status_code", "redelivery", "changed_fields", "response")} == {
            key: expected[key] for key in ("event", "status_code", "redelivery", "changed_fields", "response")
        }
        assert cvat.get(f"/api/webhooks/{webhook}")["last_status"] == outcome["webhook.last_status"]
        if name == "redir307":
            assert [(item.method, item.path) for item in receiver.received] == [
                ("POST", "/hook"),
                ("POST", "/redirected"),
            ]


def test_credentials_are_refused_as_recorded(cvat: Cvat) -> None:
    outcome = recorded("api_misc")["auth"]

    def asked(value: str | None) -> list[Any]:
        headers = {"Authorization": value} if value else {}
        answer = cvat.http.get("/api/users/self", headers=headers, auth=_as_it_is)
        return [answer.status_code, answer.text]

    assert asked("Bearer 0123") == outcome["bearer"]
    assert asked("Basic a2VscDp3cm9uZw==") == outcome["wrong"]
    assert asked(None) == outcome["anon"]


@pytest.mark.parametrize("path", ["auth/access_tokens", "functions", "agents"])
def test_what_newer_servers_have_is_not_found(cvat: Cvat, path: str) -> None:
    answer = cvat.http.get(f"/api/{path}")
    assert [answer.status_code, answer.text] == recorded("api_misc")[path]


def test_a_write_at_task_level_is_told_for_each_of_its_jobs(cvat: Cvat) -> None:
    expected = recorded("lambda_extra_loop")["task-level annotations PATCH events"]
    with Receiver(host=cvat.server.bind_host) as receiver:
        project = cvat.project()
        task = cvat.task(project, pictures(3), segment_size=1)
        cvat.webhook(project, receiver.url("/loop", cvat.bridge_host), ["update:job", "update:task", "update:project"])
        label = cvat.labels(project)["Porites"]
        shapes = [polygon(label, frame) for frame in range(3)]
        cvat.call("PATCH", f"/api/tasks/{task.id}/annotations", params={"action": "create"}, json={"shapes": shapes})
        got = receiver.wait(lambda items: len(items) >= len(expected))
    assert [[item.event, ",".join(item.json["before_update"])] for item in got] == expected


def _as_it_is(request: httpx.Request) -> httpx.Request:
    """In place of the client's own credentials."""
    return request


def test_saving_in_the_ui_sends_what_was_recorded(cvat: Cvat) -> None:
    """The browser's requests one after the other: the frames' meta, the annotations, then the state."""
    flow = recorded("ui_save_flow")
    saving, submitting = flow["hooks"]["Save pressed"], flow["hooks"]["Submit for Validation"]
    meta, annotations, started, submitted = (item for item in flow["ui_requests"] if item["method"] == "PATCH")
    with Receiver(host=cvat.server.bind_host) as receiver:
        project = cvat.project()
        job = cvat.task(project, pictures(1)).jobs[0]
        cvat.webhook(
            project, receiver.url("/ui", cvat.bridge_host), ["update:job", "update:task", "update:project"], secret=None
        )
        cvat.call("PATCH", f"/api/jobs/{job}/data/meta", content=meta["post"], headers=_JSON)
        shape = json.loads(annotations["post"])["shapes"][0]
        shape |= {"label_id": cvat.labels(project)["Porites"], "attributes": []}
        cvat.add_shapes(job, [shape])
        cvat.call("PATCH", f"/api/jobs/{job}", content=started["post"], headers=_JSON)
        cvat.call("PATCH", f"/api/jobs/{job}", content=submitted["post"], headers=_JSON)
        got = receiver.wait(lambda items: len(items) >= len(saving) + len(submitting))
    told = [
        {
            "event": item.event,
            "changed": ",".join(item.json["before_update"]),
            "state": item.json.get("job", {}).get("state"),
            "stage": item.json.get("job", {}).get("stage"),
        }
        for item in got
    ]
    assert told == [*saving, *submitting]


_JSON = {"Content-Type": "application/json"}


def test_an_organization_webhook_hears_of_its_projects(cvat: Cvat) -> None:
    slug = f"kelp-{uuid.uuid4().hex[:8]}"
    organization = cvat.call("POST", "/api/organizations", json={"slug": slug})["id"]
    inside = {"X-Organization": slug}
    try:
        with Receiver(host=cvat.server.bind_host) as receiver:
            fields = {
                "target_url": receiver.url("/org", cvat.bridge_host),
                "type": "organization",
                "is_active": True,
                "events": ["create:project", "create:task", "update:project"],
            }
            cvat.call("POST", "/api/webhooks", json=fields, headers=inside)
            spec = {"name": "orgproj", "labels": [{"name": "a", "attributes": []}]}
            project = cvat.call("POST", "/api/projects", json=spec, headers=inside)["id"]
            cvat.call("POST", "/api/tasks", json={"name": "t", "project_id": project}, headers=inside)
            got = receiver.wait(lambda items: len(items) >= 3)
        told = [[item.event, ",".join(item.json.get("before_update", {})), organization] for item in got]
        assert told == [[event, changed, organization] for event, changed, _ in recorded("webhook_org")["org"]]
    finally:
        cvat.call("DELETE", f"/api/organizations/{organization}")


class Timeline:
    """The recorded life of a task, action by action, with the deliveries each brought."""

    def __init__(self, cvat: Cvat, receiver: Receiver) -> None:
        self.cvat = cvat
        self.receiver = receiver
        self.ids = Ids()
        self.ids.learn("user", 1, cvat.get("/api/users/self")["id"])
        self.log = {entry["action"]: entry["deliveries"] for entry in recorded("webhook_timeline")["log"]}
        self.heard = 0

    def after(self, action: str) -> None:
        """Compare what came since the last action."""
        expected = [item for item in self.log.pop(action) if item["event"] not in ISSUE_EVENTS]
        got = self.receiver.wait(lambda items: len(items) - self.heard >= len(expected))[self.heard :]
        self.heard += len(expected)
        assert [item.event for item in got] == [item["event"] for item in expected], action
        for one, other in zip(expected, got, strict=True):
            raw = json.loads((RECORDINGS / "deliveries" / one["file"]).read_text())["raw_body"]
            body = as_recorded(self.cvat, other.body.decode())
            assert list(body) == list(json.loads(raw))
            assert other.signed_with("s3cret-reef")
            match(json.loads(raw), body, self.ids, f"{action}: {one['file']}", ("target_url", "enable_ssl", "events"))


def test_the_recorded_life_of_a_task_brings_the_recorded_deliveries(cvat: Cvat) -> None:
    with Receiver(host=cvat.server.bind_host) as receiver:
        timeline = Timeline(cvat, receiver)
        project = cvat.project(recorded("labels_request"), "hook-1795208173")
        webhook = cvat.webhook(
            project, receiver.url("/hook", cvat.bridge_host), ALL_EVENTS, "s3cret-reef", description="bridge"
        )
        cvat.call("POST", f"/api/webhooks/{webhook}/ping")
        timeline.after("ping")
        task = cvat.empty_task(project, "t-hook", 2)
        timeline.after("create task")
        cvat.upload(task, [(f"reef_{number}.jpg", picture(1600, 1200)) for number in range(3)])
        timeline.after("task data (3 images)")
        first, second = sorted(job["id"] for job in cvat.all("/api/jobs", task_id=task))
        label = cvat.labels(project)["any1"]
        cvat.add_shapes(first, [polygon(label)])
        timeline.after("PATCH job0 annotations (action=create)")
        cvat.call("PUT", f"/api/jobs/{first}/annotations", json={"shapes": [polygon(label)]})
        timeline.after("PUT job0 annotations")
        me = cvat.get("/api/users/self")["id"]
        for action, job, fields in (
            ("PATCH job0 state=in progress", first, {"state": "in progress"}),
            ("PATCH job0 state=in progress (again, no change)", first, {"state": "in progress"}),
            ("PATCH job0 assignee=1", first, {"assignee": me}),
            ("PATCH job0 state=completed", first, {"state": "completed"}),
            ("PATCH job1 state=completed (last one; stage annotation)", second, {"state": "completed"}),
            ("PATCH job0 stage=validation", first, {"stage": "validation"}),
            ("PATCH job0 state=completed in validation", first, {"state": "completed"}),
            ("PATCH job0 stage=acceptance", first, {"stage": "acceptance"}),
            ("PATCH job0 state=completed in acceptance", first, {"state": "completed"}),
            ("PATCH job1 stage=acceptance,state=completed", second, {"stage": "acceptance", "state": "completed"}),
            ("PATCH job1 state=rejected (after completion)", second, {"state": "rejected"}),
        ):
            cvat.set_job(job, **fields)
            timeline.after(action)
        cvat.call("PATCH", f"/api/tasks/{task}", json={"name": "t-hook-renamed"})
        timeline.after("PATCH task name")
        cvat.call("PATCH", f"/api/tasks/{task}", json={"assignee_id": me})
        timeline.after("PATCH task assignee")
        cvat.call("PATCH", f"/api/projects/{project}", json={"name": "hook-1795208173x"})
        timeline.after("PATCH project name")
        timeline.after("create issue")
        cvat.call("PATCH", f"/api/projects/{project}", json={"labels": [{"name": "more", "attributes": []}]})
        timeline.after("task backup-less export? PATCH labels via project")
        cvat.call("DELETE", f"/api/tasks/{task}")
        timeline.after("DELETE task")
        assert not timeline.log
        listed = wait_for(lambda: (page := _newest(cvat, webhook))["count"] == timeline.heard and page)
        match(
            {**recorded("webhook_deliveries_list"), "count": timeline.heard},
            as_recorded(cvat, json.dumps(listed)),
            timeline.ids,
            "deliveries",
            ("next", "response"),
        )


def _newest(cvat: Cvat, webhook: int) -> Any:
    return cvat.get(f"/api/webhooks/{webhook}/deliveries", page_size=3)


def _form(body: Any) -> tuple[Any, ...]:
    """An event and the keys of what it carries, whoever is assigned and whatever has changed."""
    event = body["event"]
    row = body.get(event.partition(":")[2]) or body.get("webhook")
    nested = {
        name: tuple(sorted(value)) for name, value in row.items() if isinstance(value, dict) and name != "assignee"
    }
    return event, tuple(sorted(body)), tuple(sorted(row)), tuple(sorted(nested.items())), tuple(sorted(body["sender"]))


def test_every_recorded_delivery_has_the_form_of_one_that_comes_here(cvat: Cvat) -> None:
    with Receiver(host=cvat.server.bind_host) as receiver:
        project = cvat.project()
        webhook = cvat.webhook(project, receiver.url("/hook", cvat.bridge_host), ALL_EVENTS)
        cvat.call("POST", f"/api/webhooks/{webhook}/ping")
        cvat.call("POST", f"/api/webhooks/{webhook}/ping")
        task = cvat.task(project, pictures(1))
        job = task.jobs[0]
        cvat.add_shapes(job, [polygon(cvat.labels(project)["Porites"])])
        cvat.complete(task)
        cvat.call("PATCH", f"/api/tasks/{task.id}", json={"name": "renamed"})
        cvat.call("DELETE", f"/api/tasks/{task.id}")
        got = receiver.wait(lambda items: any(item.event == "delete:task" for item in items))
    ours = {_form(item.json) for item in got}
    elsewhere = {*ISSUE_EVENTS, "create:project"}
    for path in sorted((RECORDINGS / "deliveries").glob("*.json")):
        body = json.loads(json.loads(path.read_text())["raw_body"])
        if body["event"] not in elsewhere and path.stem not in BATCH_DELIVERIES:
            assert _form(body) in ours, path.name
