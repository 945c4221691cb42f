"""`kelp up` over real processes: waking, sleeping, dying and mending; each test with a model of its own."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from tests.local.conftest import Up, eventually, starter, write_card
from tests.weights.conftest import FileServer

LIMIT = 33_554_432


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    models = folder / "models"
    for name in ("reef", "unloaded", "asked", "crashing", "counted", "flowing", "cut"):
        write_card(models, name)
    write_card(models, "drowsy", scale={"retention": 0.5})
    write_card(models, "looked-at", title="The reef")
    write_card(models, "kept", scale={"min": 1, "retention": 0})
    write_card(models, "slow", {"load_s": 0.5})
    write_card(models, "crowded", {"load_s": 1.5}, limits={"queue_requests": 2})
    write_card(models, "late", {"load_s": 60}, start_timeout=0.7)
    write_card(models, "broken", {"fail": "no such weights: reef.onnx"})
    write_card(models, "small", limits={"body": LIMIT})
    write_card(models, "reef", version="v2")
    (models / "reef.yaml").rename(models / "versioned.yaml")
    (models / "reef.json").rename(models / "versioned.json")
    write_card(models, "reef")
    write_card(models, "cpu", device="cpu")
    write_card(models, "impatient", {"load_s": 2}, limits={"queue_requests": 2})
    server = FileServer()
    server.files["/reef.bin"] = b"reef"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    remote = {"uri": f"{server.url}/reef.bin", "sha256": hashlib.sha256(b"reef").hexdigest()}
    write_card(models, "remote", weights=remote)
    with starter(folder) as start:
        yield start(KELP_CVAT_PASSWORD="x", KELP_API_TOKEN="y", KELP_WEBHOOK_SECRETS_FILE="/none")
    server.shutdown()
    server.server_close()


def starts(up: Up, model: str) -> int:
    return len([e for e in list(up.events) if e.get("event") == "model_starting" and e["model"] == model])


def test_a_model_sleeps_wakes_on_its_first_request_and_sleeps_again(up):
    assert up.state("drowsy") == "asleep"
    answer = up.infer("drowsy", b"hello")
    assert answer.status_code == 200
    assert answer.json()["length"] == 5
    assert up.state("drowsy") == "ready"
    first = answer.json()["pid"]
    assert up.infer("drowsy").json()["pid"] == first
    up.wait_for("model_asleep", model="drowsy")
    assert up.state("drowsy") == "asleep"
    assert not psutil.pid_exists(first)
    assert up.infer("drowsy").json()["pid"] != first


def test_looking_wakes_nothing(up):
    assert "looked-at" in up.http.get("/v2/models").json()["models"]
    entry = next(e for e in up.http.post("/v2/repository/index").json() if e["name"] == "looked-at")
    assert (entry["state"], entry["reason"]) == ("UNAVAILABLE", "asleep")
    ready = up.http.post("/v2/repository/index", json={"ready": True}).json()
    assert "looked-at" not in [e["name"] for e in ready]
    card = up.card("looked-at")
    assert (card["title"], card["state"]) == ("The reef", "asleep")
    assert [label["name"] for label in card["labels"]] == ["red", "green", "blue"]
    assert up.http.get("/v2/health/ready").status_code == 200
    assert up.http.get("/v2").json()["name"] == "kelp up"
    assert starts(up, "looked-at") == 0


def test_asking_whether_it_is_ready_wakes_it(up):
    assert up.http.get("/v2/models/asked/ready").json() == {"name": "asked", "ready": True}
    assert up.state("asked") == "ready"


def test_load_and_unload_by_request(up):
    assert up.http.post("/v2/repository/models/unloaded/load").status_code == 200
    assert up.state("unloaded") == "ready"
    assert up.http.post("/v2/repository/models/unloaded/unload").status_code == 200
    assert up.state("unloaded") == "asleep"


def test_scale_min_starts_it_at_once_and_keeps_it(up):
    up.wait_for("model_ready", model="kept")
    pid = up.infer("kept").json()["pid"]
    assert up.infer("kept").json()["pid"] == pid
    assert up.http.post("/v2/repository/models/kept/unload").status_code == 409


def test_many_callers_wait_for_one_start(up):
    with ThreadPoolExecutor(8) as callers:
        pids = {answer.json()["pid"] for answer in callers.map(lambda _: up.infer("slow"), range(8))}
    assert len(pids) == 1
    assert starts(up, "slow") == 1


def test_no_more_wait_than_the_card_allows(up):
    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda _: up.infer("crowded"), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "queue_full"
    assert refused.headers["retry-after"] == "1"


def test_a_start_that_takes_too_long_is_told_to_those_who_wait(up):
    answer = up.infer("late")
    assert answer.status_code in {503, 504}
    assert "not ready within 0.7 s" in answer.json()["error"]
    up.wait_for("model_failed", model="late")
    assert up.state("late") == "failing"


def test_a_start_that_fails_says_why_everywhere(up):
    answer = up.infer("broken")
    assert answer.status_code == 503
    assert answer.json()["code"] == "failing"
    assert "exit code 3: no such weights: reef.onnx" in answer.json()["error"]
    card = up.card("broken")
    assert card["state"] == "failing"
    assert "no such weights" in card["reason"]
    entry = next(e for e in up.http.get("/v2/repository/index").json() if e["name"] == "broken")
    assert "no such weights" in entry["reason"]


def test_what_fails_is_not_tried_again_at_every_request(up):
    eventually(lambda: up.infer("broken").status_code == 503)
    before = starts(up, "broken")
    soon = up.infer("broken")
    assert soon.status_code == 503
    assert int(soon.headers["retry-after"]) >= 1
    assert starts(up, "broken") <= before + 1


def test_a_crash_is_told_and_mended(up):
    first = up.infer("crashing").json()["pid"]
    answer = up.infer("crashing", x_crash="1")
    assert answer.status_code == 503
    for told in ("died during this request", "SIGKILL", "the reef collapsed"):
        assert told in answer.json()["error"]
    up.wait_for("model_failed", model="crashing")
    up.wait_for("model_ready", count=2, model="crashing")  # by itself
    assert up.infer("crashing").json()["pid"] != first


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(up):
    up.infer("cut")
    with pytest.raises(httpx.RemoteProtocolError):
        up.infer("cut", x_answer_bytes="2000000", x_cut="1")
    up.wait_for("answer_cut")
    eventually(lambda: up.infer("cut").status_code == 200)


def test_whoever_leaves_while_a_model_starts_gives_the_place_free(up):
    for _ in range(4):  # the card lets two wait
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{up.url}/v2/models/impatient/ready", timeout=0.1, trust_env=False)
    assert up.infer("impatient").status_code == 200


def test_weights_are_fetched_once_before_the_start(up):
    assert up.infer("remote").status_code == 200
    up.wait_for("weights_fetching", model="remote")
    up.http.post("/v2/repository/models/remote/unload")
    assert up.infer("remote").status_code == 200
    assert len([e for e in list(up.events) if e.get("event") == "weights_fetching"]) == 1


def test_bodies_flow_through_without_being_kept(up):
    up.infer("flowing")
    piece = os.urandom(1 << 16)
    count = 960  # 60 MB
    expected = hashlib.sha256(piece * count).hexdigest()
    process = psutil.Process(up.process.pid)
    before = process.memory_info().rss
    most = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            most[0] = max(most[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        length = str(len(piece) * count)
        with_length = up.infer("flowing", (piece for _ in range(count)), content_length=length)
        chunked = up.infer("flowing", (piece for _ in range(count)))
        big = up.infer("flowing", x_answer_bytes=str(60_000_000))
    finally:
        done.set()
        watcher.join()
    assert with_length.json()["sha256"] == expected
    assert chunked.json()["sha256"] == expected
    assert big.content == bytes(60_000_000)
    assert most[0] - before < 20_000_000


def test_a_body_over_the_cards_limit_is_refused_at_once_or_as_it_comes(up):
    declared = up.http.post("/v2/models/small/infer", content=bytes(LIMIT + 1))
    assert declared.status_code == 413
    assert up.state("small") == "asleep"
    flowing = up.infer("small", (bytes(1 << 16) for _ in range(600)))
    assert flowing.status_code == 413
    assert str(LIMIT) in flowing.json()["error"]
    assert up.infer("small", bytes(LIMIT)).json()["length"] == LIMIT


def test_headers_of_one_connection_stay_there_and_all_others_pass(up):
    answer = up.infer(
        "reef",
        x_request_id="42",
        inference_header_content_length="7",
        connection="keep-alive, x-mine",
        x_mine="no",
        te="trailers",
        authorization="Bearer secret",
    )
    seen = answer.json()["headers"]
    assert seen["x-request-id"] == "42"
    assert seen["inference-header-content-length"] == "7"
    assert not {"x-mine", "te", "authorization"} & set(seen)
    assert answer.headers["x-kept"] == "yes"
    assert "x-dropped" not in answer.headers


def test_paths_and_queries_arrive_as_they_were_sent(up):
    answer = up.http.post("/v2/models/reef-v2/versions/v2/infer?a=1%202&b=%2F", content=b"{}")
    assert answer.json()["path"] == "/v2/models/reef-v2/versions/v2/infer?a=1%202&b=%2F"


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", "/v2/models/kelp/infer", 404, "there are: asked"),
        ("GET", "/v2/models/kelp", 404, "there are: asked"),
        ("GET", "/v2/models/reef/infer", 405, "expected POST"),
        ("GET", "/nowhere", 404, "no such path"),
        ("POST", "/v2/models/reef/explode", 404, "explode"),
        ("POST", "/v2/models/reef-v2/versions/v3/infer", 400, "its version is v2"),
        ("POST", "/v2/models/reef/versions/v1/infer", 400, "it has no versions"),
    ],
)
def test_what_does_not_exist_is_named(up, method, path, status, text):
    answer = up.http.request(method, path)
    assert answer.status_code == status
    assert text in answer.json()["error"]


def test_a_caller_that_leaves_frees_the_model(up):
    eventually(lambda: up.infer("drowsy").status_code == 200)
    slept = len([e for e in list(up.events) if e.get("event") == "model_asleep" and e["model"] == "drowsy"])
    url = f"{up.url}/v2/models/drowsy/infer"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, content=b"{}", headers={"x-delay": "30"}, timeout=0.5, trust_env=False)
    up.wait_for("model_asleep", count=slept + 1, timeout_s=20, model="drowsy")


def test_models_see_no_secrets(up):
    assert up.infer("reef").json()["secrets"] == []


def test_a_model_for_the_cpu_sees_no_gpu(up):
    assert up.infer("cpu").json()["cuda"] == ""


def test_openapi_describes_paths_of_all_models_that_answer(up):
    document = up.http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    assert {"/v2/models/reef/infer", "/v2/models/reef-v2/infer", "/v2/repository/models/kept/unload"} <= set(paths)
    for path, methods in paths.items():
        if "get" in methods and "/ready" not in path:  # which would wake every model
            assert up.http.get(path).status_code == 200, path
    assert up.http.post("/openapi.json").status_code == 405


def test_metrics_tell_states_and_cold_starts(up):
    up.infer("counted")
    text = up.http.get("/metrics").text
    assert 'kelp_model_state{model="counted",state="ready"} 1' in text
    assert 'kelp_model_state{model="counted",state="asleep"} 0' in text
    assert 'kelp_cold_start_seconds_count{model="counted"} 1' in text
