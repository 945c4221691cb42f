"""A predictor's life: it says early that it lives, says ready only when it is, and stops without losing a request."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import grpc
import httpx
import pytest
import yaml

from kelp.codec.grpc_pool import METHODS, path_of
from tests.serving.wire import body, error_of, faulty, picture, png
from tests.support.predictor import NUMPY_RUNTIME, ROOT, Predictor, numpy_card, wait_for

GOOD = png(picture())


def post(predictor, **parameters) -> httpx.Response:
    return httpx.post(predictor.infer_url, json=body(GOOD, outputs=("score",), **parameters), timeout=30)


def grpc_call(predictor, method, **fields):
    request_class, response_class = METHODS[method]
    with grpc.insecure_channel(predictor.grpc) as channel:
        raw = channel.unary_unary(path_of(method))(request_class(**fields).SerializeToString(), timeout=20)
    return response_class.FromString(raw)


def kubernetes_probe(predictor, service: bytes = b"") -> bytes:
    """What a gRPC probe gets: 1 is SERVING, 2 is NOT_SERVING."""
    asked = b"\x0a" + bytes([len(service)]) + service if service else b""
    with grpc.insecure_channel(predictor.grpc) as channel:
        return channel.unary_unary("/grpc.health.v1.Health/Check")(asked, timeout=20)


def test_while_it_loads(tmp_path):
    with Predictor(tmp_path, env={"KELP_NUMPY_LOAD_S": "1.5"}, ready=False) as starting:
        assert starting.get("/v2/health/live").status_code == 200
        for path in ("/v2/health/ready", f"/v2/models/{starting.name}/ready"):
            answer = starting.get(path)
            assert (answer.status_code, error_of(answer.text)["code"]) == (503, "not_ready")
        assert starting.get(f"/v2/models/{starting.name}").json()["parameters"]["card"]["state"] == "starting"
        index = httpx.post(f"{starting.url}/v2/repository/index").json()
        assert index[0]["state"] == "LOADING"
        refused = post(starting)
        assert (refused.status_code, error_of(refused.text)["code"]) == (503, "not_ready")
        assert int(refused.headers["retry-after"]) >= 1
        assert grpc_call(starting, "ServerLive").live is True
        assert kubernetes_probe(starting) == b"\x08\x02"
        assert kubernetes_probe(starting, b"liveness") == b"\x08\x01"
        assert grpc_call(starting, "ServerReady").ready is False
        assert grpc_call(starting, "ModelReady", name=starting.name).ready is False
        assert not grpc_call(starting, "RepositoryIndex", ready=True).models
        wait_for(lambda: starting.get("/v2/health/ready").status_code == 200)
        assert post(starting).status_code == 200
        assert grpc_call(starting, "ServerReady").ready is True
        assert kubernetes_probe(starting) == b"\x08\x01"


def test_it_can_be_stopped_while_it_loads(tmp_path):
    starting = Predictor(tmp_path, env={"KELP_NUMPY_LOAD_S": "60"}, ready=False)
    starting.process.terminate()
    assert starting.process.wait(15) == 0


@pytest.mark.parametrize(
    ("change", "env", "says"),
    [
        ({"weights": {"uri": "weights.bin", "sha256": "0" * 64}}, {}, "0" * 64),
        ({"weights": {"uri": "nowhere.bin"}}, {}, "nowhere.bin"),
        ({"runtime": "nosuch"}, {}, "nosuch"),
        ({}, {"KELP_RUNTIMES": "numpy=no.such.module:create"}, "no.such.module"),
        ({}, {"KELP_RUNTIMES": "numpy"}, "KELP_RUNTIMES"),
        ({}, {"KELP_NUMPY_FAIL_LOAD": "the weights are of another model"}, "of another model"),
        ({"settings": {"delay_s": -1}}, {}, "delay_s"),
        ({"task": "fly"}, {}, "task"),
    ],
)
def test_what_cannot_be_served_ends_with_three_and_says_why(tmp_path, change, env, says):
    failed = Predictor(tmp_path, numpy_card(**change), env=env, ready=False)
    assert failed.process.wait(20) == 3
    errors = [line for line in failed.log() if line["message"] == "cannot serve"]
    assert len(errors) == 1
    assert says in errors[0]["error"]
    assert "traceback" not in errors[0]


def test_the_right_sha256_is_accepted(tmp_path):
    sha256 = hashlib.sha256(b"weights of a model that needs none").hexdigest()
    card = numpy_card(weights={"uri": "weights.bin", "sha256": sha256})
    with Predictor(tmp_path, card) as predictor:
        assert predictor.get(f"/v2/models/{predictor.name}").json()["parameters"]["card"]["sha256"] == {"model": sha256}


@pytest.mark.parametrize("argument", ["--port", "--grpc-port"])
def test_a_taken_port_is_named(tmp_path, argument):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        failed = Predictor(tmp_path, arguments=(argument, port), ready=False)
        assert failed.process.wait(20) == 3
    (error,) = [line["error"] for line in failed.log() if line["message"] == "cannot serve"]
    assert port in error


def test_a_model_that_is_broken_for_good_ends_the_process(tmp_path):
    predictor = Predictor(tmp_path)
    breaking = httpx.post(predictor.infer_url, json=body(png(faulty("device"))))
    assert (breaking.status_code, error_of(breaking.text)["code"]) == (500, "internal")
    assert post(predictor).status_code == 500
    with contextlib.suppress(httpx.TransportError):
        assert post(predictor).status_code in (500, 503)
    assert predictor.process.wait(20) == 3
    assert any("device-side assert" in line.get("error", "") for line in predictor.log())


def test_images_that_break_the_model_do_not_end_the_process(tmp_path):
    with Predictor(tmp_path) as predictor:
        for _ in range(7):
            assert httpx.post(predictor.infer_url, json=body(png(faulty("predict")))).status_code == 500
        assert post(predictor).status_code == 200


def test_a_prediction_that_hangs_is_said_to_kubernetes(tmp_path):
    limits = {"request_seconds": 0.2}
    with (
        Predictor(tmp_path, numpy_card(limits=limits), arguments=("--grace", "0")) as predictor,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        assert pool.submit(post, predictor, delay_s=20).result(20).status_code == 504
        wait_for(lambda: predictor.get("/v2/health/live").status_code == 503)
        assert error_of(predictor.get("/v2/health/live").text)["code"] == "stuck"
        with pytest.raises(grpc.RpcError) as caught:
            grpc_call(predictor, "ServerLive")
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_wrong_usage_is_two(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "predictors.serving", "--port", "x", "card.yaml"],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
    )
    assert run.returncode == 2


def test_health_while_the_model_works(tmp_path):
    with Predictor(tmp_path) as predictor, concurrent.futures.ThreadPoolExecutor(1) as pool:
        before = predictor.metric("kelp_batch_size_count")
        busy = pool.submit(post, predictor, delay_s=2)
        wait_for(lambda: predictor.metric("kelp_batch_size_count") == before + 1)
        for path in ("/v2/health/live", "/v2/health/ready", f"/v2/models/{predictor.name}/ready", "/metrics"):
            assert predictor.get(path).status_code == 200
        assert grpc_call(predictor, "ModelReady", name=predictor.name).ready is True
        assert not busy.done()
        assert busy.result(20).status_code == 200


def test_a_stop_finishes_what_is_under_way_and_takes_nothing_new(tmp_path):
    predictor = Predictor(tmp_path, numpy_card(batch={"max_images": 1}))
    with predictor, concurrent.futures.ThreadPoolExecutor(4) as pool:
        under_way = [pool.submit(post, predictor, delay_s=0.7) for _ in range(3)]
        wait_for(lambda: predictor.metric("kelp_queue_depth") == 2)
        predictor.process.send_signal(signal.SIGTERM)
        wait_for(lambda: predictor.get("/v2/health/ready").status_code == 503)
        assert predictor.get("/v2/health/live").status_code == 200
        refused = post(predictor)
        assert (refused.status_code, error_of(refused.text)["code"]) == (503, "not_ready")
        assert "stopping" in error_of(refused.text)["error"]
        with pytest.raises(grpc.RpcError) as caught:
            grpc_call(predictor, "RepositoryModelLoad", model_name=predictor.name)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert [f.result(20).status_code for f in under_way] == [200, 200, 200]
        assert predictor.process.wait(20) == 0
    assert [line["message"] for line in predictor.log()][-1] == "stopped"


def test_a_stop_waits_no_longer_than_its_grace(tmp_path):
    predictor = Predictor(tmp_path, arguments=("--grace", "0.3"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        busy = pool.submit(post, predictor, delay_s=30)
        wait_for(lambda: predictor.metric("kelp_batch_size_count") == 1)
        started = time.monotonic()
        predictor.process.terminate()
        assert predictor.process.wait(20) == 0
        assert time.monotonic() - started < 15
        assert (busy.result(5).status_code, error_of(busy.result().text)["code"]) == (503, "not_ready")


def test_a_second_signal_ends_it_at_once(tmp_path):
    predictor = Predictor(tmp_path)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        busy = pool.submit(post, predictor, delay_s=30)
        wait_for(lambda: predictor.metric("kelp_batch_size_count") == 1)
        predictor.process.send_signal(signal.SIGINT)
        wait_for(lambda: predictor.get("/v2/health/ready").status_code == 503)
        predictor.process.send_signal(signal.SIGINT)
        assert predictor.process.wait(5) == 130
        with pytest.raises(httpx.TransportError):
            busy.result(5)


def test_the_ports_can_be_announced_on_a_descriptor(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"")
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(numpy_card()))
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "predictors.serving", str(tmp_path / "card.yaml"),
         "--port", "0", "--no-grpc", "--announce", str(writing)],
        cwd=ROOT, env={**os.environ, **NUMPY_RUNTIME}, pass_fds=[writing], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    try:
        with os.fdopen(reading) as stream:
            ports = json.loads(stream.readline())
        assert set(ports) == {"rest"}
        assert httpx.get(f"http://127.0.0.1:{ports['rest']}/v2/health/live").json() == {"live": True}
    finally:
        process.kill()
        process.wait(10)


def test_logs_as_text(tmp_path):
    with Predictor(tmp_path, env={"KELP_LOG_FORMAT": "text"}) as predictor:
        assert post(predictor).status_code == 200
        wait_for(lambda: " infer " in predictor.log_text())
    line = next(line for line in predictor.log_text().splitlines() if " infer " in line)
    assert "code=200" in line


def test_nothing_heavy_is_imported_to_serve_a_light_model(tmp_path):
    with Predictor(tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"}) as predictor:
        assert post(predictor).status_code == 200
        assert grpc_call(predictor, "ServerReady").ready is True
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", predictor.log_text(), re.MULTILINE))
    assert "predictors.serving.rest" in imported
    heavy = {
        "kserve",
        "fastapi",
        "starlette",
        "pandas",
        "torch",
        "ultralytics",
        "httpx",
        "requests",
        "prometheus_client",
    }
    assert not {name.partition(".")[0] for name in imported} & heavy
