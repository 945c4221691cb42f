"""CVAT answers with errors, not at all, too late, or goes away: with the bridge alive, and with it killed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chaos.conftest import Expect
from tests.support.cvat import CvatServer, wait_for
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.loop import FRAMES, IMAGES_A_REQUEST, Found, Loop
from tests.support.predictor import Predictor

READS = {
    "job": r"^/api/jobs/\d+$",
    "meta": r"^/api/jobs/\d+/data/meta",
    "labels": r"^/api/labels\?",
    "annotations": r"^/api/jobs/\d+/annotations$",
    "frame": r"^/api/jobs/\d+/data\?",
}
CREATE = r"^/api/jobs/\d+/annotations\?action=create"
DELETE = r"^/api/jobs/\d+/annotations\?action=delete"
STRICT = 0.6  # a conf_threshold that leaves some of the shapes out
TIMEOUT_S = 2.0

# What can become of a request that changes something.
ACCIDENTS: dict[str, Callable[[FaultProxy, str, int], Fault]] = {
    "gateway-in-the-way": lambda proxy, path, skip: proxy.answer(502, method="PATCH", path=path, skip=skip),
    "broken-in-the-middle": lambda proxy, path, skip: proxy.cut_request(200, method="PATCH", path=path, skip=skip),
    "lost": lambda proxy, path, skip: proxy.hang(method="PATCH", path=path, skip=skip),
    "done-but-cut": lambda proxy, path, skip: proxy.cut_answer(method="PATCH", path=path, skip=skip),
    "done-but-given-up": lambda proxy, path, skip: proxy.replace_answer(504, method="PATCH", path=path, skip=skip),
    "done-but-not-answered": lambda proxy, path, skip: proxy.hold_answer(method="PATCH", path=path, skip=skip),
}


def slow(*values: object) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def all_but_slow(*quick: str) -> list[Any]:
    """Every accident, those in `quick` in the usual tests."""
    assert set(quick) <= set(ACCIDENTS)
    return [name if name in quick else slow(name) for name in ACCIDENTS]


@pytest.fixture(scope="module")
def impatient(
    tmp_path_factory: pytest.TempPathFactory, cvat_server: CvatServer, predictor: Predictor
) -> Iterator[Loop]:
    """A bridge that does not wait long for CVAT's answers."""
    folder = tmp_path_factory.mktemp("impatient")
    times = {"get_timeout_s": TIMEOUT_S, "change_timeout_s": TIMEOUT_S}
    with Loop(folder, cvat_server, predictor.url, **times) as loop:
        loop.start()
        yield loop


@pytest.fixture
def hasty(impatient: Loop) -> Iterator[Loop]:
    impatient.make_ready()
    yield impatient
    impatient.clear()


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("job", 500),
        ("frame", 503),
        *(slow(what, status) for what in READS for status in (429, 502)),
    ],
)
def test_what_cannot_be_read_is_read_again(loop: Loop, expect: Expect, what: str, status: int) -> None:
    with loop.job() as job:
        fault = loop.before_cvat.answer(status, times=2, method="GET", path=READS[what])
        job.start()
        loop.wait_run(job)
        assert fault.hits == 2
        loop.check(job, expect())


@pytest.mark.parametrize("what", ["frame", slow("job"), slow("annotations")])
def test_an_answer_that_never_comes_is_asked_for_again(hasty: Loop, expect: Expect, what: str) -> None:
    with hasty.job() as job:
        fault = hasty.before_cvat.hang(method="GET", path=READS[what])
        job.start()
        hasty.wait_run(job)
        assert fault.hits == 1
        hasty.check(job, expect())


@pytest.mark.parametrize("accident", all_but_slow("broken-in-the-middle", "lost", "done-but-cut"))
def test_whatever_becomes_of_a_chunk_its_shapes_are_there_once(hasty: Loop, expect: Expect, accident: str) -> None:
    with hasty.job() as job:
        fault = ACCIDENTS[accident](hasty.before_cvat, CREATE, 1)
        job.start()
        run = hasty.wait_run(job)
        assert fault.hits == 1
        assert run["shapes"]["written"] == run["shapes"]["found"] == sum(expect().values())
        hasty.check(job, expect())
        hasty.check_calm()
        hasty.check_ownership(job, expect())


@pytest.mark.parametrize("accident", all_but_slow("broken-in-the-middle", "done-but-not-answered"))
def test_killed_while_a_chunk_is_under_way_its_shapes_are_there_once(loop: Loop, expect: Expect, accident: str) -> None:
    with loop.job() as job:
        fault = ACCIDENTS[accident](loop.before_cvat, CREATE, 1)
        job.start()
        fault.wait()
        loop.kill()
        job.draw(3, offset=9.0)
        loop.start()
        run = loop.wait_run(job)
        assert run["shapes"]["written"] == run["shapes"]["found"] == sum(expect().values())
        loop.check(job, expect())
        loop.check_ownership(job, expect())


@pytest.mark.parametrize("accident", all_but_slow("done-but-cut"))
def test_whatever_becomes_of_a_deletion_what_is_not_wanted_goes(hasty: Loop, expect: Expect, accident: str) -> None:
    with hasty.job() as job:
        hasty.annotate(job)
        fault = ACCIDENTS[accident](hasty.before_cvat, DELETE, 0)
        hasty.annotate(job, conf_threshold=STRICT)
        assert fault.hits == 1
        hasty.check(job, expect(conf_threshold=STRICT))


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_a_chunk_that_arrives_after_it_was_sent_again_is_taken_back(loop: Loop, expect: Expect, killed: bool) -> None:
    with loop.job() as job:
        late = loop.before_cvat.late(cut=not killed, method="PATCH", path=CREATE, skip=1)
        job.start()
        late.wait()
        if killed:
            loop.kill()
            loop.hold("chunk_answered")
            loop.start(keep_hold=True)
        else:
            loop.hold("chunk_answered")
        loop.wait_held()
        before = len(job.shapes())
        late.release()
        wait_for(lambda: len(job.shapes()) > before)
        loop.release()
        loop.wait_run(job)
        loop.check(job, expect())
        loop.check_ownership(job, expect())


def test_cvat_goes_away_in_the_middle_of_a_chunk_and_comes_back(loop: Loop, expect: Expect) -> None:
    proxy = loop.before_cvat
    with loop.job() as job:
        broken = proxy.cut_request(100, method="PATCH", path=CREATE, skip=1)
        job.start()
        broken.wait()
        away = proxy.cut_request(0, times=8)
        loop.wait_run(job)
        assert away.hits == 8
        loop.check(job, expect())
        loop.check_ownership(job, expect())


def test_cvat_that_stays_away_ends_the_run_with_a_reason_and_a_retry_goes_on(
    loop: Loop, expect: Expect, predictor: Predictor
) -> None:
    """What was answered before is not asked of the model again."""
    loop.kill()
    loop.start(patience={"tries_s": 1.0})
    with loop.job() as job:
        loop.before_cvat.answer(500, times=10**6, method="PATCH", path=CREATE, skip=1)
        job.start()
        failed = loop.wait_run(job, "failed")
        assert "CVAT answered 500" in failed["reason"]
        assert 0 < len(job.shapes()) < sum(expect().values())
        stored = failed["frames"]["done"]
        assert stored >= 2 * IMAGES_A_REQUEST
        loop.before_cvat.clear()
        asked = loop.before_model.count("POST", "/infer$")
        answer = loop.bridge.post(f"/api/v1/runs/{failed['id']}/retry")
        assert answer.status_code == 202, answer.text
        assert loop.wait_run(job)["attempt"] == 2
        assert loop.before_model.count("POST", "/infer$") - asked == (FRAMES - stored) / IMAGES_A_REQUEST
        loop.check(job, expect())
        loop.check_ownership(job, expect())
    loop.kill()


@pytest.mark.parametrize(
    ("status", "method", "path", "reason"),
    [
        (403, "PATCH", CREATE, "may not touch"),
        slow(400, "PATCH", CREATE, "CVAT answered 400"),
        slow(401, "GET", READS["job"], "does not accept the bridge's user"),
        slow(403, "GET", READS["frame"], "may not touch"),
    ],
)
def test_what_cvat_refuses_ends_the_run_at_once_and_says_why(
    loop: Loop, status: int, method: str, path: str, reason: str
) -> None:
    with loop.job() as job:
        fault = loop.before_cvat.answer(status, times=10**6, method=method, path=path)
        job.start()
        run = loop.wait_run(job, "failed")
        assert reason in run["reason"]
        assert 1 <= fault.hits <= FRAMES  # which are fetched side by side
        assert job.found() == Found()
