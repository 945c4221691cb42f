"""How webhooks are sent: one after the other, with a time-out, listed, and again on demand."""

from __future__ import annotations

import pytest

from demo.cvat import Account, Running, Settings
from tests.support.cvat import PASSWORD, SECRET, USER, Cvat, CvatServer, wait_for
from tests.support.receiver import Answer, Received, Receiver

TIMEOUT_S = 1.5
ACCOUNT = Account(USER, PASSWORD, superuser=True)


def test_a_redelivery_says_the_same_in_other_bytes(cvat: Cvat) -> None:
    with Receiver(host=cvat.server.bind_host) as receiver:
        project = cvat.project()
        webhook = cvat.webhook(project, receiver.url("/hook", cvat.bridge_host), ["create:task"])
        cvat.empty_task(project)
        (row,) = wait_for(lambda: cvat.deliveries(webhook))
        assert cvat.call("POST", f"/api/webhooks/{webhook}/deliveries/{row['id']}/redelivery") == {}
        first, second = receiver.wait(lambda items: len(items) >= 2)
        again = wait_for(lambda: (rows := cvat.deliveries(webhook)) and len(rows) == 2 and rows)
    assert first.json == second.json
    assert first.body != second.body
    assert first.headers["x-signature-256"] != second.headers["x-signature-256"]
    assert second.signed_with(SECRET)
    assert [item["redelivery"] for item in again] == [True, False]


def test_an_inactive_webhook_is_sent_nothing(cvat: Cvat) -> None:
    with Receiver(host=cvat.server.bind_host) as receiver:
        project = cvat.project()
        silent = cvat.webhook(project, receiver.url("/silent", cvat.bridge_host), ["create:task"], is_active=False)
        cvat.webhook(project, receiver.url("/heard", cvat.bridge_host), ["create:task"])
        cvat.empty_task(project)
        # Hooks are served in order of their ids: what the second got came after what the first would have got.
        assert [item.path for item in receiver.wait(bool)] == ["/heard"]
        assert cvat.deliveries(silent) == []


def test_a_webhook_without_a_secret_is_not_signed(cvat: Cvat) -> None:
    with Receiver(host=cvat.server.bind_host) as receiver:
        project = cvat.project()
        cvat.webhook(project, receiver.url("/hook", cvat.bridge_host), ["create:task"], secret=None)
        cvat.empty_task(project)
        (item,) = receiver.wait(bool)
    assert "x-signature-256" not in item.headers


def test_a_patch_without_the_secret_keeps_it(cvat: Cvat) -> None:
    with Receiver(host=cvat.server.bind_host) as receiver:
        webhook = cvat.webhook(cvat.project(), receiver.url("/hook", cvat.bridge_host))
        cvat.call("PATCH", f"/api/webhooks/{webhook}", json={"description": "renamed"})
        cvat.call("PATCH", f"/api/webhooks/{webhook}", json={"secret": "rotated"})
        cvat.call("POST", f"/api/webhooks/{webhook}/ping")
        assert receiver.wait(bool)[0].signed_with("rotated")


@pytest.mark.parametrize(("hang_s", "status"), [(3.0, 504), (0.5, 200)], ids=["too late", "in time"])
def test_a_slow_receiver_holds_up_all_others_for_no_longer_than_the_time_out(hang_s: float, status: int) -> None:
    settings = Settings((ACCOUNT,), delivery_timeout_s=TIMEOUT_S)

    def answer(received: Received) -> Answer:
        return Answer(after_s=hang_s if received.path == "/slow" else 0)

    with Receiver(answer) as receiver, Running(settings) as running:
        cvat = Cvat(CvatServer(running.url))
        project = cvat.project()
        slow = cvat.webhook(project, receiver.url("/slow"), ["create:task"])
        cvat.webhook(project, receiver.url("/behind"), ["create:task"])
        cvat.empty_task(project)
        first, second = receiver.wait(lambda items: len(items) >= 2)
        assert [first.path, second.path] == ["/slow", "/behind"]
        assert second.at - first.at >= min(hang_s, TIMEOUT_S) - 0.05
        assert cvat.deliveries(slow)[0]["status_code"] == status


def _failing(*statuses: int) -> Receiver:
    left = list(statuses)
    return Receiver(lambda received: Answer(left.pop(0) if left else 200))


def test_a_newer_server_sends_again_what_failed_and_never_after_a_4xx() -> None:
    settings = Settings((ACCOUNT,), delivery_retries_s=(0.05, 0.1, 0.2))
    with Running(settings) as running:
        cvat = Cvat(CvatServer(running.url))
        for statuses, attempts in (((500, 503, 200), 3), ((500, 404), 2), ((400,), 1), ((500,) * 9, 4)):
            with _failing(*statuses) as receiver:
                project = cvat.project()
                webhook = cvat.webhook(project, receiver.url(), ["create:task"])
                cvat.empty_task(project)
                receiver.wait(lambda items, attempts=attempts: len(items) >= attempts)  # type: ignore[misc]
                rows = wait_for(lambda: len(rows := cvat.deliveries(webhook)) >= attempts and rows)  # noqa: B023
                assert [row["status_code"] for row in rows] == list(statuses[:attempts])[::-1]
                assert len({item.body for item in receiver.received}) == 1
                cvat.remove_project(project)


def test_an_older_server_sends_once() -> None:
    with Running(Settings((ACCOUNT,))) as running, _failing(500, 500) as receiver:
        cvat = Cvat(CvatServer(running.url))
        project = cvat.project()
        webhook = cvat.webhook(project, receiver.url(), ["create:task"])
        cvat.empty_task(project)
        receiver.wait(bool)
        assert running.server.sender.wait_idle(10)
        cvat.empty_task(project)
        receiver.wait(lambda items: len(items) >= 2)
        assert running.server.sender.wait_idle(10)
        assert [row["status_code"] for row in cvat.deliveries(webhook)] == [500, 500]
