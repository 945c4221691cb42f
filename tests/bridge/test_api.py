"""What callers of the bridge get: webhooks of every kind, the runs API, and who may use what."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.models.catalog import CARD_SECONDS
from tests.bridge.recorded import by_place
from tests.bridge.reef import found_by_seed, held, labels, pngs
from tests.support.bridge import BridgeProcess
from tests.support.cvat import SECRET, Cvat, CvatServer, wait_for
from tests.support.fault_proxy import FaultProxy
from tests.support.predictor import Predictor

STARTED = by_place("05:34").payload
PATH = "/detect-model-webhook?model_name=numpy-reef"


def deliver(bridge: BridgeProcess, payload: Any, path: str = PATH, secret: str | None = SECRET) -> httpx.Response:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {"Content-Type": "application/json"}
    if secret is not None:
        headers["X-Signature-256"] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return bridge.http.post(bridge.url + path, content=body, headers=headers)


def started(job: int, moment: str = "2026-11-21T09:17:50.385368Z") -> dict[str, Any]:
    return {**STARTED, "job": {**STARTED["job"], "id": job, "updated_date": moment}}


@pytest.fixture(scope="module")
def elsewhere(
    tmp_path_factory: pytest.TempPathFactory, cvat_server: CvatServer, predictor: Predictor
) -> Iterator[BridgeProcess]:
    """A bridge that listens beyond this machine, with a token."""
    env = {"KELP_HOST": "0.0.0.0", "KELP_API_TOKEN": "token-of-the-api"}
    folder = tmp_path_factory.mktemp("elsewhere")
    with BridgeProcess(folder, cvat=cvat_server, v2_url=predictor.url, env=env) as process:
        yield process


@pytest.fixture(scope="module")
def v2(predictor: Predictor) -> Iterator[FaultProxy]:
    with FaultProxy(predictor.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def slowed(
    tmp_path_factory: pytest.TempPathFactory, cvat_server: CvatServer, v2: FaultProxy
) -> Iterator[BridgeProcess]:
    """A bridge with `v2` in front of its models."""
    with BridgeProcess(tmp_path_factory.mktemp("slowed"), cvat=cvat_server, v2_url=v2.url) as process:
        yield process


# Webhooks


def test_a_delivery_is_accepted_once(bridge: BridgeProcess) -> None:
    first, second = deliver(bridge, started(900001)), deliver(bridge, started(900001))
    assert first.status_code == 202
    body = first.json()
    assert body == {"outcome": "accepted", "run": body["run"], "url": f"/api/v1/runs/{body['run']}"}
    assert second.status_code == 200
    assert second.json() == {**body, "outcome": "repeated"}
    assert deliver(bridge, started(900001, "2026-11-21T10:00:00Z")).status_code == 202


def test_a_ping_is_answered(bridge: BridgeProcess) -> None:
    answer = deliver(bridge, by_place("01:19").payload)
    assert (answer.status_code, answer.json()) == (200, {"outcome": "pong"})


@pytest.mark.parametrize(
    ("place", "path", "reason"),
    [
        ("05:41", PATH, "without a change of state"),
        ("05:79", PATH, "update:task"),
        ("05:18", PATH, "acts on started, not on created"),
        ("05:34", PATH + "&on=completed", "acts on completed, not on started"),
    ],
)
def test_what_starts_nothing_says_why(bridge: BridgeProcess, place: str, path: str, reason: str) -> None:
    answer = deliver(bridge, by_place(place).payload, path)
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "ignored"
    assert reason in answer.json()["reason"]


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("/detect-model-webhook", 400, "model_name"),
        (PATH + "&treshold=0.5", 400, "treshold"),
        (PATH + "&conf_threshold=2", 400, "conf_threshold"),
        ("/detect-model-webhook?model_name=numpy-rief", 404, "numpy-reef"),
        ("/detect-model-webhook/?model_name=numpy-reef", 404, "nothing at"),
        ("/no-such-webhook", 404, "nothing at"),
    ],
)
def test_a_mistake_in_the_address_is_named(bridge: BridgeProcess, path: str, status: int, named: str) -> None:
    answer = deliver(bridge, started(900002), path)
    assert answer.status_code == status
    assert named in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"event": 5}', b"\xff\xfe", b'{"event":"update:job"}'])
def test_a_body_that_is_no_delivery_is_a_400(bridge: BridgeProcess, body: bytes) -> None:
    answer = deliver(bridge, body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "code"}


@pytest.mark.parametrize("secret", [None, "another-secret", ""])
def test_without_a_good_signature_nothing_is_even_parsed(bridge: BridgeProcess, secret: str | None) -> None:
    for payload in (started(900003), b"not json"):
        answer = deliver(bridge, payload, PATH + "&nonsense=1", secret)
        assert answer.status_code == 401
    assert bridge.runs(job=900003) == []


def test_a_body_beyond_the_limit_is_refused_before_it_has_come(bridge: BridgeProcess) -> None:
    assert deliver(bridge, b" " * (1 << 20) + b"{}").status_code == 413
    # One that names no length is cut off while it streams.
    with socket.create_connection(("127.0.0.1", bridge.ports["main"])) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        answer = b""
        try:
            for _ in range(64):
                connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        except OSError:
            pass
        connection.settimeout(10)
        answer = connection.recv(1000)
    assert answer.startswith(b"HTTP/1.1 413")


def test_only_post_is_a_delivery(bridge: BridgeProcess) -> None:
    assert bridge.http.get(bridge.url + PATH).status_code == 405


def test_a_webhook_is_written_down_while_cvat_and_the_models_are_gone(tmp_path: Path) -> None:
    env = {"KELP_CVAT_URL": "http://127.0.0.1:9", "KELP_CVAT_USER": "kim", "KELP_CVAT_PASSWORD": "x"}
    with BridgeProcess(tmp_path, env=env) as bridge:
        answer = deliver(bridge, started(5), "/detect-model-webhook?model_name=any")
        assert answer.status_code == 202
        ready = bridge.http.get(bridge.url + "/health/ready")
        assert ready.status_code == 200
        wait_for(lambda: len(bridge.get("/health/ready")["missing"]) == 2)
        missing = " ".join(bridge.get("/health/ready")["missing"])
        assert "CVAT" in missing
        assert "127.0.0.1:9" in missing
        run_id = answer.json()["run"]
        # It goes on trying, and says so.
        wait_for(lambda: "trying again" in str(bridge.get(f"/api/v1/runs/{run_id}")["message"]))
    # A bridge that comes up again still has it.
    with BridgeProcess(tmp_path, env=env) as bridge:
        assert bridge.get(f"/api/v1/runs/{run_id}")["state"] in {"queued", "running"}


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, "KELP_CVAT_URL"),
        ({"KELP_CVAT_URL": "http://127.0.0.1:9"}, "KELP_CVAT_PASSWORD"),
        ({"KELP_CVAT_URL": "http://127.0.0.1:9", "KELP_CVAT_USER": "kim"}, "KELP_CVAT_PASSWORD"),
    ],
)
def test_a_bridge_that_cannot_work_with_cvat_says_so_at_its_start(
    tmp_path: Path, env: dict[str, str], named: str
) -> None:
    with BridgeProcess(tmp_path, env=env) as bridge:
        line = bridge.wait_log("no_cvat_access")
        assert line["level"] == "warning"
        assert named in line["note"]
        status, missing = bridge.ready()
        assert status == 200  # a webhook is written down all the same
        assert any(named in problem for problem in missing)


# The secret


def test_the_secret_is_rotated_without_losing_a_delivery(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    # An empty variable beside the file, as a cluster's manifests easily have it, opens nothing.
    env = {"KELP_WEBHOOK_SECRETS": "", "KELP_WEBHOOK_SECRETS_FILE": str(file)}
    path = "/detect-model-webhook?model_name=any"
    for number, (secrets, signed) in enumerate(
        [("s3cret-1", ["s3cret-1"]), ("s3cret-2, s3cret-1", ["s3cret-1", "s3cret-2"])]
    ):
        file.write_text(secrets + "\n")
        with BridgeProcess(tmp_path / "bridge", env=env) as bridge:
            for secret in signed:
                moment = f"{number} {secret}"
                assert deliver(bridge, started(5, moment), path, secret).status_code == 202
            assert deliver(bridge, started(5, "another"), path, "s3cret-3").status_code == 401
            assert "s3cret" not in bridge.tail(1000)


def test_without_a_secret_only_this_machine_is_served_and_it_says_so(tmp_path: Path) -> None:
    env = {"KELP_WEBHOOK_SECRETS": "", "KELP_HOST": "0.0.0.0", "KELP_CVAT_URL": "http://127.0.0.1:9"}
    path = "/detect-model-webhook?model_name=any"
    with BridgeProcess(tmp_path, env=env) as bridge:
        assert deliver(bridge, started(1), path, secret=None).status_code == 202
        assert deliver(bridge, started(2), path, secret="whatever").status_code == 202
        bridge.wait_log("no_webhook_secret")
        assert any("KELP_WEBHOOK_SECRETS" in note for note in bridge.get("/health/ready")["notes"])
        # What a proxy passes on may come from anywhere.
        answer = bridge.http.post(bridge.url + path, json=started(3), headers={"X-Forwarded-For": "203.0.113.5"})
        assert answer.status_code == 401
        other = _own_address()
        if other is None:
            pytest.skip("this machine has no second address to call from")
        answer = httpx.post(f"http://{other}:{bridge.ports['main']}{path}", json=started(4), trust_env=False)
        assert answer.status_code == 401


def _own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # sends nothing: it only asks which address would be used
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return None if address.startswith("127.") else address


# Who may use the API


@pytest.mark.parametrize("path", ["/api/v1/runs", "/openapi.json", "/docs", "/anything"])
def test_beyond_this_machine_everything_but_webhooks_and_health_needs_the_token(
    elsewhere: BridgeProcess, path: str
) -> None:
    get = elsewhere.http.get
    assert get(elsewhere.url + path).status_code == 401
    assert get(elsewhere.url + path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert get(elsewhere.url + path, headers={"Authorization": "Basic token-of-the-api"}).status_code == 401
    answer = get(elsewhere.url + path, headers={"Authorization": "Bearer token-of-the-api"})
    assert answer.status_code == (404 if path == "/anything" else 200)
    assert get(elsewhere.url + "/health/live").status_code == 200
    assert deliver(elsewhere, by_place("01:19").payload).status_code == 200
    assert "token-of-the-api" not in elsewhere.tail(1000)


def test_without_a_token_the_api_is_closed_beyond_this_machine(tmp_path: Path) -> None:
    with BridgeProcess(tmp_path, env={"KELP_HOST": "0.0.0.0", "KELP_CVAT_URL": "http://127.0.0.1:9"}) as bridge:
        answer = bridge.http.get(bridge.url + "/api/v1/runs")
        assert answer.status_code == 401
        assert "KELP_API_TOKEN" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "[evil"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},  # a sandboxed frame of any site sends it
        {"X-Forwarded-For": "203.0.113.5"},
    ],
)
def test_another_sites_page_cannot_reach_the_open_api_of_this_machine(
    bridge: BridgeProcess, headers: dict[str, str]
) -> None:
    assert bridge.http.get(bridge.url + "/api/v1/runs", headers=headers).status_code == 403


def test_metrics_and_health_have_a_listener_of_their_own(bridge: BridgeProcess) -> None:
    side = f"http://127.0.0.1:{bridge.ports['metrics']}"
    deliver(bridge, by_place("01:19").payload)
    text = bridge.http.get(f"{side}/metrics").text
    for name in (
        'kelp_webhooks_total{kind="detect",outcome="pong"}',
        'kelp_runs{state="queued"}',
        "kelp_run_duration_seconds",
        "kelp_shapes_written_total",
        "kelp_cold_start_seconds",
        "kelp_cvat_requests_total",
    ):
        assert name in text
    assert bridge.http.get(f"{side}/health/ready").json()["ready"] is True
    assert bridge.http.get(f"{side}/api/v1/runs").status_code == 404
    assert bridge.http.get(f"{bridge.url}/metrics").status_code == 404


# Runs by hand


def test_a_job_is_annotated_by_hand(cvat: Cvat, bridge: BridgeProcess) -> None:
    project = cvat.project(labels("any"))
    (job,) = cvat.task(project, pngs(2)).jobs
    wish = {"job": job, "model": "numpy-reef", "parameters": {"conf_threshold": 0.5, "shape": "rectangle"}}
    answer = bridge.post("/api/v1/runs", {**wish, "caused_by": "kim"})
    assert answer.status_code == 202
    (run_id,) = answer.json()["runs"]
    run = bridge.wait_run(run_id)
    assert (run["state"], run["cause"], run["caused_by"]) == ("completed", "manual", "kim")
    assert held(cvat, project, job) == found_by_seed(2, conf_threshold=0.5)
    assert {shape["type"] for shape in cvat.shapes(job)} == {"rectangle"}


def test_asking_twice_for_an_unchanged_job_is_one_run(cvat: Cvat, bridge: BridgeProcess) -> None:
    project = cvat.project(labels(names=["nothing of the model's"]))
    (job,) = cvat.task(project, pngs(1)).jobs
    wish = {"job": job, "model": "numpy-reef"}
    first, second = bridge.post("/api/v1/runs", wish), bridge.post("/api/v1/runs", wish)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["runs"] == second.json()["runs"]
    again = bridge.post("/api/v1/runs", {**wish, "again": True})
    assert again.status_code == 202
    assert again.json()["runs"] != first.json()["runs"]


def test_a_task_and_a_project_become_a_run_a_job(cvat: Cvat, bridge: BridgeProcess) -> None:
    project = cvat.project(labels())
    one, two = cvat.task(project, pngs(3), segment_size=1), cvat.task(project, pngs(1, first=7))
    asked = bridge.post("/api/v1/runs", {"task": one.id, "model": "numpy-reef"}).json()
    assert len(asked["runs"]) == 3
    assert {bridge.wait_run(run_id)["state"] for run_id in asked["runs"]} == {"completed"}
    runs = bridge.runs(batch=asked["batch"])
    assert {run["job"] for run in runs} == set(one.jobs)
    everything = bridge.post("/api/v1/runs", {"project": project, "model": "numpy-reef"}).json()
    assert len(everything["runs"]) == 4
    for run_id in everything["runs"]:
        bridge.wait_run(run_id)
    assert held(cvat, project, two.jobs[0]) == {(0, label): n for (_, label), n in found_by_seed([7]).items()}
    for number, job in enumerate(one.jobs):
        assert held(cvat, project, job) == found_by_seed([number])


@pytest.mark.parametrize(
    ("wish", "status", "named"),
    [
        ({}, 400, "model"),
        ({"model": "numpy-reef"}, 400, "exactly one"),
        ({"model": "numpy-reef", "job": 1, "task": 1}, 400, "exactly one"),
        ({"model": "numpy-reef", "job": 0}, 400, "job"),
        ({"model": "nobody", "job": 1}, 404, "numpy-reef"),
        ({"model": "numpy-reef", "job": 99999999}, 404, "job 99999999 is not in CVAT"),
        ({"model": "numpy-reef", "task": 99999999}, 404, "task 99999999 is not in CVAT"),
        ({"model": "numpy-reef", "project": 99999999}, 404, "project 99999999 is not in CVAT"),
        ({"model": "numpy-reef", "job": 1, "parameters": {"on": "started"}}, 400, "on"),
        ({"model": "numpy-reef", "job": 1, "parameters": {"treshold": 1}}, 400, "treshold"),
        ({"model": "numpy-reef", "job": 1, "surprise": 1}, 400, "surprise"),
    ],
)
def test_what_cannot_be_asked_for_is_named(bridge: BridgeProcess, wish: Any, status: int, named: str) -> None:
    answer = bridge.post("/api/v1/runs", wish)
    assert answer.status_code == status, answer.text
    assert named in answer.json()["error"]


def test_a_project_without_jobs_is_told_from_one_that_is_not_there(cvat: Cvat, bridge: BridgeProcess) -> None:
    project = cvat.project(labels())
    for wish in ({"project": project}, {"task": cvat.empty_task(project)}):
        answer = bridge.post("/api/v1/runs", {"model": "numpy-reef", **wish})
        assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_do")


@pytest.mark.parametrize(
    ("parameter", "value", "unknown"),
    [
        ("labels", "red,gren", "'gren'"),
        ("label_map", "rde:Coral,green:Rock", "'rde'"),
        ("label_map", "rde:", "'rde'"),
        ("label_map", "red:Coral,Red:Rock", "'red' is named twice"),
    ],
)
def test_a_label_that_the_model_lacks_is_named_with_those_it_has(
    bridge: BridgeProcess, parameter: str, value: str, unknown: str
) -> None:
    wait_for(lambda: bridge.ready()[1] == [])
    by_hand = {"job": 99999999, "model": "numpy-reef", "parameters": {parameter: value}}
    for answer in (
        deliver(bridge, started(900004), f"{PATH}&{parameter}={value}"),
        deliver(bridge, by_place("01:19").payload, f"{PATH}&{parameter}={value}"),  # CVAT's ping tells it at once
        bridge.post("/api/v1/runs", by_hand),
    ):
        assert answer.status_code == 400
        message = answer.json()["error"]
        assert f"parameter '{parameter}'" in message
        assert unknown in message
        assert "twice" in message or "red, green, blue" in message
    assert bridge.runs(job=900004) == []


def test_labels_may_be_asked_for_without_their_case(cvat: Cvat, bridge: BridgeProcess) -> None:
    project = cvat.project(labels(names=["Coral", "green", "blue"]))
    (job,) = cvat.task(project, pngs(3)).jobs
    wish = {"labels": ["RED", "green"], "label_map": {"Red": "coral"}}
    (run_id,) = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef", "parameters": wish}).json()["runs"]
    assert bridge.wait_run(run_id)["state"] == "completed"
    found = {(f, "Coral" if name == "red" else name): n for (f, name), n in found_by_seed(3).items() if name != "blue"}
    assert held(cvat, project, job) == found


# Listing, following, cancelling, trying again


def test_runs_are_listed_newest_first_page_by_page(bridge: BridgeProcess) -> None:
    for number in range(5):
        deliver(bridge, started(910000 + number))
    ids = [run["job"] for run in bridge.runs(limit=5)]
    assert ids == sorted(ids, reverse=True)
    pages, page = [], None
    for _ in range(3):
        answer = bridge.get("/api/v1/runs", limit=2, **({"page": page} if page else {}))
        pages += [run["job"] for run in answer["runs"]]
        page = answer["next"]
    assert pages[:5] == ids
    assert [run["job"] for run in bridge.runs(job=910003)] == [910003]
    assert bridge.runs(model="another") == []
    assert bridge.http.get(bridge.url + "/api/v1/runs", params={"state": "done"}).status_code == 400
    assert bridge.http.get(bridge.url + "/api/v1/runs/none").json()["code"] == "no_such_run"


def test_a_run_is_followed_until_it_ends(cvat: Cvat, slowed: BridgeProcess, v2: FaultProxy) -> None:
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(8)).jobs
    bridge = slowed
    v2.delay(1.5, times=1, method="POST", path="/infer", skip=1)
    (run_id,) = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"]
    seen: list[tuple[str, Any]] = []
    with bridge.http.stream("GET", f"{bridge.url}/api/v1/runs/{run_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                seen.append((name, json.loads(line.removeprefix("data: "))))
    assert [name for name, _ in seen[:-1]] == ["run"] * (len(seen) - 1)
    assert seen[-1][0] == "end"
    assert seen[-1][1]["state"] == "completed"
    done = [view["frames"]["done"] for _, view in seen]
    assert done == sorted(done)
    assert len(set(done)) >= 3  # frame by frame, not all at once


def test_a_run_is_cancelled_where_it_stands_and_goes_on_when_asked(
    cvat: Cvat, slowed: BridgeProcess, v2: FaultProxy
) -> None:
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(12)).jobs
    bridge = slowed
    hang = v2.hang(times=1, method="POST", path="/infer", skip=2)
    (run_id,) = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"]
    hang.wait()
    wait_for(lambda: bridge.get(f"/api/v1/runs/{run_id}")["frames"]["done"] >= 4)
    assert bridge.post(f"/api/v1/runs/{run_id}/retry").status_code == 409
    assert bridge.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
    run = bridge.wait_run(run_id)
    assert (run["state"], run["attempt"], run["reason"]) == ("cancelled", 1, "cancelled; what was written before stays")
    assert bridge.post(f"/api/v1/runs/{run_id}/cancel").status_code == 409
    stored, asked = run["frames"]["done"], v2.count("POST", "/infer")
    assert bridge.post(f"/api/v1/runs/{run_id}/retry").status_code == 202
    run = bridge.wait_run(run_id)
    assert (run["state"], run["attempt"]) == ("completed", 2)
    # Only what was not stored is asked again.
    assert v2.count("POST", "/infer") - asked == (12 - stored + 3) // 4
    assert held(cvat, project, job) == found_by_seed(12)
    assert bridge.post(f"/api/v1/runs/{run_id}/retry").status_code == 409
    asked = v2.count("POST", "/infer")
    assert bridge.post(f"/api/v1/runs/{run_id}/retry", {"again": True}).status_code == 202
    run = bridge.wait_run(run_id)
    assert (run["state"], run["attempt"]) == ("completed", 3)
    assert v2.count("POST", "/infer") - asked == 3
    assert run["shapes"]["written"] == 0  # all of it is there already
    assert held(cvat, project, job) == found_by_seed(12)


def test_a_run_that_has_not_begun_is_cancelled_at_once(cvat: Cvat, slowed: BridgeProcess, v2: FaultProxy) -> None:
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(1)).jobs
    bridge = slowed
    hang = v2.hang(times=1, method="POST", path="/infer")
    (first,) = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"]
    hang.wait()
    (second,) = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef", "again": True}).json()["runs"]
    # Runs on one job never overlap.
    assert bridge.get(f"/api/v1/runs/{second}")["state"] == "queued"
    cancelled = bridge.post(f"/api/v1/runs/{second}/cancel").json()
    assert cancelled["state"] == "cancelled"
    bridge.post(f"/api/v1/runs/{first}/cancel")
    assert bridge.wait_run(first)["state"] == "cancelled"
    assert cvat.shapes(job) == []
    asked = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef"})
    assert (asked.status_code, asked.json()["found"]) == (202, {first: "cancelled"})
    assert bridge.wait_run(first)["state"] == "completed"
    assert held(cvat, project, job) == found_by_seed(1)


def test_a_frame_that_was_set_aside_gets_another_chance(cvat: Cvat, slowed: BridgeProcess, v2: FaultProxy) -> None:
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(3)).jobs
    bridge = slowed
    bad = json.dumps({"error": "frame 1 is broken", "code": "invalid_image", "image_indices": [1]}).encode()
    v2.answer(400, times=1, method="POST", path="/infer", body=bad, headers={"Content-Type": "application/json"})
    (run_id,) = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"]
    run = bridge.wait_run(run_id)
    assert run["state"] == "completed_with_errors"
    assert "frame 1 is broken" in run["reason"]
    assert held(cvat, project, job) == found_by_seed([0, 2])
    bridge.post(f"/api/v1/runs/{run_id}/retry")
    run = bridge.wait_run(run_id)
    assert run["state"] == "completed"
    assert run["frames"] == {"total": 3, "done": 3, "set_aside": 0}
    assert held(cvat, project, job) == found_by_seed(3)


def test_the_api_describes_itself(bridge: BridgeProcess) -> None:
    schema = bridge.get("/openapi.json")
    for path in (
        "/detect-model-webhook", "/api/v1/runs", "/api/v1/runs/{run_id}", "/api/v1/runs/{run_id}/events",
        "/api/v1/runs/{run_id}/retry", "/api/v1/runs/{run_id}/cancel", "/health/ready",
    ):  # fmt: skip
        assert path in schema["paths"]
    names = {p["name"] for p in schema["paths"]["/detect-model-webhook"]["post"]["parameters"]}
    assert {"model_name", "on", "label_map", "existing", "conf_threshold", "X-Signature-256"} <= names


@contextmanager
def asleep(v2: FaultProxy) -> Iterator[None]:
    """No model gets ready as long as this lasts."""
    v2.answer(503, times=10**9, method="GET", path="/ready", headers={"Retry-After": "1"})
    try:
        yield
    finally:
        v2.clear()


def waiting(bridge: BridgeProcess, run_id: str) -> Any:
    return wait_for(lambda: (r := bridge.get(f"/api/v1/runs/{run_id}"))["state"] == "waiting" and r)


def test_a_cold_start_is_waited_for_and_told(cvat: Cvat, slowed: BridgeProcess, v2: FaultProxy) -> None:
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(1)).jobs
    bridge = slowed
    with asleep(v2):
        (run_id,) = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"]
        assert "waiting for numpy-reef to start" in waiting(bridge, run_id)["message"]
    ended = bridge.wait_run(run_id)
    assert ended["state"] == "completed"
    assert ended["cold_start_s"] > 0
    (again,) = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef", "again": True}).json()["runs"]
    assert bridge.wait_run(again)["cold_start_s"] is None
    assert 'kelp_cold_start_seconds_count{model="numpy-reef"} 1.0' in bridge.metrics()


def test_a_run_whose_task_is_deleted_under_it_says_what_is_gone(
    cvat: Cvat, slowed: BridgeProcess, v2: FaultProxy
) -> None:
    project = cvat.project(labels())
    task = cvat.task(project, pngs(1))
    (job,) = task.jobs
    with asleep(v2):
        (run_id,) = slowed.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"]
        waiting(slowed, run_id)
        cvat.call("DELETE", f"/api/tasks/{task.id}")
    ended = slowed.wait_run(run_id)
    told = f"task {task.id} is not in CVAT (any more), and job {job} with it"
    assert (ended["state"], ended["reason"]) == ("failed", told)


def test_a_model_that_is_being_replaced_is_waited_for(cvat: Cvat, slowed: BridgeProcess, v2: FaultProxy) -> None:
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(1)).jobs
    gone = json.dumps({"error": "no such model", "code": "not_found"}).encode()
    time.sleep(CARD_SECONDS)  # so long the bridge remembers a card that it has read
    fault = v2.answer(404, times=2, method="GET", path="/v2/models/numpy-reef$", body=gone)
    v2.answer(404, times=1, method="POST", path="/infer", body=gone)
    (run_id,) = slowed.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"]
    seen = wait_for(lambda: "to be there again" in str((r := slowed.get(f"/api/v1/runs/{run_id}"))["message"]) and r)
    assert seen["state"] == "waiting"
    assert slowed.wait_run(run_id)["state"] == "completed"
    assert fault.hits == 2
    assert held(cvat, project, job) == found_by_seed(1)


def test_sigterm_finishes_the_chunk_in_hand_and_leaves_the_run_to_the_next_process(
    cvat: Cvat, folder: Path, predictor: Predictor
) -> None:
    project = cvat.project(labels())
    (job,) = cvat.task(project, pngs(8)).jobs
    with FaultProxy(cvat.url) as proxy:
        options = {"cvat": cvat.server, "cvat_url": proxy.url, "v2_url": predictor.url}
        with BridgeProcess(folder, **options) as bridge:
            slow = proxy.delay(1.0, times=1, method="PATCH", path="annotations")
            (run_id,) = bridge.post("/api/v1/runs", {"job": job, "model": "numpy-reef"}).json()["runs"]
            slow.wait()
            assert bridge.terminate() == 0
            assert {file.name for file in folder.glob("bridge.db*")} == {
                "bridge.db", "bridge.db.lock", "bridge.db.workflows",
            }  # fmt: skip
            assert not any(line["event"] == "chunk_in_doubt" for line in bridge.log())
        written = len(cvat.shapes(job))
        assert written == found_by_seed(8).total()
        with BridgeProcess(folder, **options) as bridge:
            assert bridge.wait_run(run_id)["state"] == "completed"
            assert proxy.count("PATCH", "annotations") == 1
    assert held(cvat, project, job) == found_by_seed(8)
