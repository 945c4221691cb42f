"""Which deliveries a task's life brings, as recorded."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.cvat.ids import Ids, match
from tests.cvat.left_out import BATCH_DELIVERIES, ISSUE_EVENTS
from tests.cvat.outcomes import RECORDINGS, as_recorded, recorded
from tests.support.cvat import Cvat, picture, pictures, polygon, wait_for
from tests.support.receiver import Receiver

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
JSON_TYPE = {"Content-Type": "application/json"}


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
        cvat.call("PATCH", f"/api/jobs/{job}/data/meta", content=meta["post"], headers=JSON_TYPE)
        shape = json.loads(annotations["post"])["shapes"][0]
        shape |= {"label_id": cvat.labels(project)["Porites"], "attributes": []}
        cvat.add_shapes(job, [shape])
        cvat.call("PATCH", f"/api/jobs/{job}", content=started["post"], headers=JSON_TYPE)
        cvat.call("PATCH", f"/api/jobs/{job}", content=submitted["post"], headers=JSON_TYPE)
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
