"""The faults that other tests put between Kelp and a CVAT are the faults they say they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.cvat import Cvat, CvatServer, pictures, polygon
from tests.support.fault_proxy import FaultProxy

ANNOTATIONS = r"^/api/jobs/\d+/annotations"


@pytest.fixture
def proxy(cvat_server: CvatServer) -> Iterator[FaultProxy]:
    with FaultProxy(cvat_server.url) as running:
        yield running


@pytest.fixture
def behind(cvat_server: CvatServer, proxy: FaultProxy) -> Iterator[Cvat]:
    """A client of the CVAT through the proxy."""
    server = CvatServer(proxy.url, cvat_server.user, cvat_server.password, cvat_server.bridge_host, cvat_server.real)
    client = Cvat(server)
    yield client
    client.close()


@pytest.fixture
def job(behind: Cvat) -> int:
    return behind.task(behind.project(), pictures(2)).jobs[0]


@pytest.fixture
def shape(behind: Cvat, job: int) -> dict[str, object]:
    project = behind.job(job)["project_id"]
    return polygon(behind.labels(project)["Porites"])


def _create(behind: Cvat, job: int, shapes: list[dict[str, object]], timeout_s: float = 10.0) -> httpx.Response:
    return behind.http.patch(
        f"/api/jobs/{job}/annotations", params={"action": "create"}, json={"shapes": shapes}, timeout=timeout_s
    )


def test_everything_passes_where_no_fault_is_asked_for(behind: Cvat, proxy: FaultProxy, job: int) -> None:
    frames = [behind.frame(job, number) for number in (0, 1)]
    assert frames == pictures(2)
    assert {seen.outcome for seen in proxy.seen} == {"passed"}
    # Links in answers lead through the proxy too.
    assert behind.get("/api/jobs", page_size=1)["results"][0]["url"].startswith(proxy.url)


def test_the_next_matching_requests_are_answered_and_no_others(
    behind: Cvat, proxy: FaultProxy, job: int, shape: dict[str, object]
) -> None:
    proxy.answer(503, times=2, method="PATCH", path=ANNOTATIONS, headers={"Retry-After": "1"})
    assert behind.shapes(job) == []
    answers = [_create(behind, job, [shape]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "1"
    assert len(behind.shapes(job)) == 1
    assert proxy.count("PATCH", ANNOTATIONS) == 3


def test_a_fault_can_wait_for_a_later_request(behind: Cvat, proxy: FaultProxy, job: int) -> None:
    proxy.answer(500, path=ANNOTATIONS, skip=1)
    statuses = [behind.http.get(f"/api/jobs/{job}/annotations").status_code for _ in range(3)]
    assert statuses == [200, 500, 200]


def test_a_request_cut_in_its_body_does_nothing(
    behind: Cvat, proxy: FaultProxy, job: int, shape: dict[str, object]
) -> None:
    fault = proxy.cut_request(100, method="PATCH", path=ANNOTATIONS)
    with pytest.raises(httpx.TransportError):
        _create(behind, job, [shape] * 50)
    assert fault.hits == 1
    assert behind.shapes(job) == []


def test_an_answer_cut_off_leaves_the_work_done(
    behind: Cvat, proxy: FaultProxy, job: int, shape: dict[str, object]
) -> None:
    proxy.cut_answer(method="PATCH", path=ANNOTATIONS)
    with pytest.raises(httpx.TransportError):
        _create(behind, job, [shape])
    assert len(behind.shapes(job)) == 1


def test_a_request_that_hangs_never_reaches_the_server(
    behind: Cvat, proxy: FaultProxy, job: int, shape: dict[str, object]
) -> None:
    fault = proxy.hang(method="PATCH", path=ANNOTATIONS)
    with pytest.raises(httpx.ReadTimeout):
        _create(behind, job, [shape], timeout_s=0.3)
    fault.wait(1)
    assert behind.shapes(job) == []


def test_one_can_wait_for_a_fault_to_happen(behind: Cvat, proxy: FaultProxy, job: int) -> None:
    fault = proxy.delay(0.3, method="GET", path=ANNOTATIONS)
    with pytest.raises(TimeoutError):
        fault.wait(0.01)
    took: list[float] = []

    def read() -> None:
        began = time.monotonic()
        behind.shapes(job)
        took.append(time.monotonic() - began)

    thread = threading.Thread(target=read)
    thread.start()
    fault.wait(10)
    thread.join(10)
    assert took[0] >= 0.3
