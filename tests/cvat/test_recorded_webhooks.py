"""Webhooks as recorded: making them, what is refused, what the list of deliveries says."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.cvat.ids import Ids, match
from tests.cvat.outcomes import as_recorded, recorded
from tests.support.cvat import Cvat, wait_for
from tests.support.receiver import Answer, Received, Receiver


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


def _as_it_is(request: httpx.Request) -> httpx.Request:
    """In place of the client's own credentials."""
    return request
