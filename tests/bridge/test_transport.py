"""Talking to CVAT: what is repeated, what is sent once, and that nothing ever leaves the configured host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from bridge.cvat.client import Cvat
from bridge.cvat.errors import CvatGone, CvatRefused, CvatUnavailable, InDoubt
from bridge.cvat.transport import TRIES, CvatAccess, Transport

HOST = "http://cvat.example:8080"
Answer = httpx.Response | Exception


def client(answers: Callable[[httpx.Request], Answer], **access: Any) -> tuple[Cvat, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = answers(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = Transport(CvatAccess(HOST, **access), transport=httpx.MockTransport(handle), pause_s=0.001)
    return Cvat(transport), seen


def in_turn(*answers: Answer) -> Callable[[httpx.Request], Answer]:
    left: Iterator[Answer] = iter(answers)
    return lambda request: next(left)


ABOUT = httpx.Response(200, json={"version": "2.42.0"})
RESET = httpx.ReadError("reset")
NOT_CONNECTED = httpx.ConnectError("refused")


@pytest.mark.parametrize(
    "trouble",
    [httpx.Response(500), httpx.Response(502), httpx.Response(504), httpx.Response(429, headers={"Retry-After": "0"}),
     RESET, NOT_CONNECTED, httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")],
)  # fmt: skip
def test_reading_is_repeated(trouble: Answer) -> None:
    cvat, seen = client(in_turn(trouble, trouble, ABOUT))
    assert asyncio.run(cvat.about()) == {"version": "2.42.0"}
    assert len(seen) == 3


def test_reading_is_given_up_in_the_end() -> None:
    cvat, seen = client(lambda request: httpx.Response(503))
    with pytest.raises(CvatUnavailable, match="503"):
        asyncio.run(cvat.about())
    assert len(seen) == TRIES


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, CvatRefused), (401, CvatRefused), (403, CvatRefused), (404, CvatGone), (301, CvatRefused)],
)
def test_a_no_is_a_no(status: int, error: type[Exception]) -> None:
    cvat, seen = client(lambda request: httpx.Response(status, headers={"Location": "http://elsewhere.example/"}))
    with pytest.raises(error):
        asyncio.run(cvat.job(5))
    assert len(seen) == 1


@pytest.mark.parametrize(
    "trouble",
    [httpx.Response(500), httpx.Response(502), httpx.Response(504), RESET, httpx.ReadTimeout("slow"),
     httpx.WriteError("cut"), httpx.RemoteProtocolError("cut")],
)  # fmt: skip
def test_shapes_are_sent_once_and_without_an_answer_it_is_in_doubt(trouble: Answer) -> None:
    cvat, seen = client(lambda request: trouble)
    with pytest.raises(InDoubt):
        asyncio.run(cvat.create(5, b"{}"))
    assert len(seen) == 1
    assert (seen[0].method, seen[0].url.path) == ("PATCH", "/api/jobs/5/annotations")
    assert dict(seen[0].url.params) == {"action": "create"}


@pytest.mark.parametrize("trouble", [NOT_CONNECTED, httpx.ConnectTimeout("slow"), httpx.Response(429)])
def test_what_never_reached_cvat_is_in_no_doubt(trouble: Answer) -> None:
    cvat, _ = client(lambda request: trouble)
    with pytest.raises(CvatUnavailable) as raised:
        asyncio.run(cvat.create(5, b"{}"))
    assert not isinstance(raised.value, InDoubt)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refused_creation_is_in_no_doubt(status: int) -> None:
    cvat, _ = client(lambda request: httpx.Response(status, json=["label_id `7` is invalid"]))
    with pytest.raises((CvatRefused, CvatGone)):
        asyncio.run(cvat.create(5, b"{}"))


def test_deleting_may_be_repeated() -> None:
    cvat, seen = client(in_turn(RESET, httpx.Response(200, json={"shapes": []})))
    asyncio.run(cvat.delete(5, b"{}"))
    assert len(seen) == 2


def test_pages_are_asked_for_by_number_whatever_address_cvat_names() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        job = {"id": page, "task_id": 7, "start_frame": -page, "stop_frame": 0, "type": "annotation"}
        elsewhere = "http://169.254.169.254/api/jobs?page=2" if page < 3 else None
        return httpx.Response(200, json={"count": 3, "next": elsewhere, "results": [job]})

    cvat, seen = client(answer)
    jobs = asyncio.run(cvat.jobs_of_task(7))
    assert [job.id for job in jobs] == [3, 2, 1]  # by their first frame, not as CVAT lists them
    assert {request.url.host for request in seen} == {"cvat.example"}


def test_a_list_that_a_server_did_not_filter_is_filtered_here() -> None:
    jobs = [
        {"id": n, "task_id": task, "start_frame": 0, "stop_frame": 0, "type": kind}
        for n, (task, kind) in enumerate([(7, "annotation"), (8, "annotation"), (7, "ground_truth")])
    ]
    cvat, _ = client(lambda request: httpx.Response(200, json={"next": None, "results": jobs}))
    assert [job.id for job in asyncio.run(cvat.jobs_of_task(7))] == [0]


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ({"user": "kim", "password": "pass"}, "Basic a2ltOnBhc3M="),
        ({"token": "pat_1"}, "Bearer pat_1"),
        ({}, None),
    ],
)
def test_who_we_are_is_said_with_every_request_and_login_never(access: dict[str, str], header: str | None) -> None:
    cvat, seen = client(lambda request: httpx.Response(200, json={"username": "kim"}), **access)
    asyncio.run(cvat.whoami())
    assert seen[0].headers.get("authorization") == header
    assert seen[0].headers["accept"] == "application/vnd.cvat+json"
    assert [request.url.path for request in seen] == ["/api/users/self"]


def test_the_organization_limits_lists_and_nothing_else() -> None:
    cvat, seen = client(
        lambda request: httpx.Response(200, json={"next": None, "results": [], "username": "x"}), organization="reef"
    )
    asyncio.run(cvat.webhooks())
    asyncio.run(cvat.whoami())
    assert [request.headers.get("x-organization") for request in seen] == ["reef", None]


def test_the_path_of_a_cvat_below_another_site_is_kept() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json={"username": "x"})

    transport = Transport(CvatAccess("https://lab.example/cvat"), transport=httpx.MockTransport(answer))
    asyncio.run(Cvat(transport).whoami())
    assert seen == ["https://lab.example/cvat/api/users/self"]


def test_a_page_of_html_is_no_message_for_people() -> None:
    html = httpx.Response(500, html="<html><title>Server Error (500)</title></html>")
    cvat, _ = client(lambda request: html)
    with pytest.raises(CvatUnavailable) as raised:
        asyncio.run(cvat.about())
    assert "<" not in raised.value.message
