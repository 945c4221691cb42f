"""Limits hold on both protocols: size, time, and the number of those that wait; and a caller that leaves is dropped."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import socket
import struct
import time

import grpc
import httpx
import numpy as np
import pytest

from kelp.codec import InferRequest, RequestedOutput, Tensor
from kelp.codec.grpc_messages import encode_request
from kelp.codec.grpc_pool import path_of
from tests.serving.test_images import png_claiming
from tests.serving.wire import body, error_of, picture, png
from tests.support.predictor import Predictor, numpy_card, wait_for

BODY = 33_554_432
GOOD = png(picture())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One image a batch, and three places in the queue."""
    limits = {"body": BODY, "image_pixels": 50_000, "queue_requests": 3, "queue_seconds": 20, "request_seconds": 20}
    card = numpy_card(batch={"max_images": 1}, limits=limits)
    with Predictor(tmp_path_factory.mktemp("small"), card) as predictor:
        yield predictor


@pytest.fixture(scope="module")
def infer(small):
    """gRPC's ModelInfer with one image and some parameters."""
    with grpc.insecure_channel(small.grpc, [("grpc.max_send_message_length", -1)]) as channel:
        call = channel.unary_unary(path_of("ModelInfer"))

        def run(image=GOOD, *, deadline_s=30.0, future=False, **parameters):
            request = InferRequest(
                small.name, (Tensor.from_bytes("image", [image]),), (RequestedOutput("score"),), parameters
            )
            return (call.future if future else call)(encode_request(request), timeout=deadline_s)

        yield run


def post(small, **parameters) -> httpx.Response:
    return httpx.post(small.infer_url, json=body(GOOD, outputs=("score",), **parameters), timeout=30)


def predicted(small) -> float:
    return small.metric("kelp_batch_size_sum")


def idle(small) -> bool:
    """Nothing waits, and nothing is in the model."""
    return small.metric("kelp_queue_depth") == 0 and post(small).status_code == 200


# --- size


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_and_the_connection_lives(small, chunked):
    connection = http.client.HTTPConnection("127.0.0.1", small.ports["rest"], timeout=30)
    url = f"/v2/models/{small.name}/infer"
    content = (b"x" * 65536 for _ in range(BODY // 65536 + 1)) if chunked else b"x" * (BODY + 1)
    connection.request("POST", url, content, encode_chunked=chunked)
    response = connection.getresponse()
    assert response.status == 413
    assert error_of(response.read().decode())["code"] == "too_large"
    before = connection.sock
    connection.request("POST", url, json.dumps(body(GOOD)).encode())
    assert connection.getresponse().status == 200
    assert connection.sock is before
    connection.close()


def test_a_body_over_the_limit_is_refused_before_it_is_sent(small):
    with socket.create_connection(("127.0.0.1", small.ports["rest"]), 10) as raw:
        raw.sendall(
            f"POST /v2/models/{small.name}/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {10**12}\r\n"
            "expect: 100-continue\r\n\r\n".encode()
        )
        answer = raw.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_what_is_sent_after_a_refusal_is_not_read_for_ever(small):
    with socket.create_connection(("127.0.0.1", small.ports["rest"]), 10) as raw:
        raw.sendall(
            f"POST /v2/models/{small.name}/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {10**12}\r\n\r\n".encode()
        )
        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")
        with pytest.raises(OSError, match=r"(?i)reset|pipe|abort"):
            raw.sendall(bytes(8 * BODY))


def test_a_body_up_to_the_limit_is_read(small):
    # A bitmap may be as large as the limit allows; it is refused for its pixels, not for its bytes.
    request = json.dumps({**body(png_claiming(10_000, 10_000)), "id": ""})
    padded = request.encode() + b" " * (BODY - len(request))
    response = httpx.post(small.infer_url, content=padded)
    assert (response.status_code, error_of(response.text)["code"]) == (400, "too_many_pixels")


def test_the_same_limit_over_grpc(infer):
    with pytest.raises(grpc.RpcError) as caught:
        infer(b"x" * BODY)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(grpc.RpcError) as caught:
        infer(b"x" * (BODY - 10_000))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_the_pixel_limit_holds_for_pixels_too(small):
    too_many = {"name": "image", "datatype": "UINT8", "shape": [2, 300, 200, 3], "data": [0] * (2 * 300 * 200 * 3)}
    response = httpx.post(small.infer_url, json={"inputs": [too_many]})
    assert error_of(response.text)["image_indices"] == [0, 1]
    assert error_of(response.text)["code"] == "too_many_pixels"


def test_small_files_that_decode_large_do_not_fill_the_memory(tmp_path):
    # 20 images of 10 megapixels would be 600 MB at once; the budget lets through two of the largest at a time.
    bomb = png(np.zeros((2500, 4000, 3), np.uint8))
    card = numpy_card(limits={"image_pixels": 10_000_000, "request_seconds": 120, "queue_seconds": 120})
    with Predictor(tmp_path, card) as predictor:
        response = httpx.post(predictor.infer_url, json=body(*[bomb] * 20, outputs=("score",)), timeout=120)
        assert response.status_code == 200
        with open(f"/proc/{predictor.process.pid}/status") as status:
            peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak_kb < 400_000


# --- time


def test_the_callers_own_time_limit(small):
    started = time.monotonic()
    response = post(small, delay_s=1.5, timeout=200_000)
    assert (response.status_code, error_of(response.text)["code"]) == (504, "too_late")
    assert time.monotonic() - started < 1.4
    wait_for(lambda: idle(small))


@pytest.mark.parametrize("limit", [{"deadline_s": 0.3}, {"timeout": 200_000}])
def test_a_time_limit_over_grpc(small, infer, limit):
    started = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        infer(delay_s=1.5, **limit)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 1.4
    wait_for(lambda: idle(small))


def test_the_cards_limits(tmp_path):
    limits = {"queue_seconds": 0.3, "request_seconds": 1.0}
    with (
        Predictor(tmp_path, numpy_card(batch={"max_images": 1}, limits=limits)) as hasty,
        concurrent.futures.ThreadPoolExecutor(2) as pool,
    ):
        long = pool.submit(post, hasty, delay_s=2)
        wait_for(lambda: predicted(hasty) == 1)
        waiting = post(hasty)
        assert (waiting.status_code, error_of(waiting.text)["code"]) == (504, "too_late")
        assert "busy" in error_of(waiting.text)["error"]
        assert error_of(long.result(10).text)["error"] == "no answer within 1 s"
        wait_for(lambda: post(hasty).status_code == 200)


def test_late_requests_never_reach_the_model(small):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        before = predicted(small)
        busy = pool.submit(post, small, delay_s=1)
        wait_for(lambda: predicted(small) == before + 1)
        late = [pool.submit(post, small, timeout=100_000) for _ in range(2)]
        assert [f.result(10).status_code for f in late] == [504, 504]
        assert busy.result(10).status_code == 200
        assert idle(small)
        assert predicted(small) == before + 2


# --- the queue


def test_a_full_queue_says_so_at_once(small, infer):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        before = predicted(small)
        busy = pool.submit(post, small, delay_s=1.5)
        wait_for(lambda: predicted(small) == before + 1)
        waiting = [pool.submit(post, small) for _ in range(3)]
        wait_for(lambda: small.metric("kelp_queue_depth") == 3)
        started = time.monotonic()
        refused = post(small)
        assert (refused.status_code, error_of(refused.text)["code"]) == (429, "queue_full")
        assert int(refused.headers["retry-after"]) >= 1
        with pytest.raises(grpc.RpcError) as caught:
            infer()
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(caught.value.trailing_metadata())["kelp-code"] == "queue_full"
        assert time.monotonic() - started < 1
        # Health, metadata and metrics are not requests to the model.
        assert small.get("/v2/health/ready").status_code == 200
        assert [f.result(20).status_code for f in (busy, *waiting)] == [200] * 4
    assert small.metric("kelp_rejected_total", reason="queue_full") == 2


# --- callers that leave


def test_a_rest_caller_that_hangs_up_is_dropped(small):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        before, left = predicted(small), small.metric("kelp_requests_total", code="499")
        busy = pool.submit(post, small, delay_s=1)
        wait_for(lambda: predicted(small) == before + 1)
        content = json.dumps(body(GOOD)).encode()
        raw = socket.create_connection(("127.0.0.1", small.ports["rest"]), 10)
        head = f"POST /v2/models/{small.name}/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n"
        raw.sendall(head.encode() + content)
        wait_for(lambda: small.metric("kelp_queue_depth") == 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        wait_for(lambda: small.metric("kelp_requests_total", code="499") == left + 1)
        assert small.metric("kelp_queue_depth") == 0
        assert busy.result(10).status_code == 200
        assert idle(small)
        assert predicted(small) == before + 2


def test_a_caller_that_leaves_while_it_sends_frees_its_place(small):
    raw = socket.create_connection(("127.0.0.1", small.ports["rest"]), 10)
    raw.sendall(f"POST /v2/models/{small.name}/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nabc".encode())
    wait_for(lambda: small.metric("kelp_queue_depth") == 1)
    raw.close()
    wait_for(lambda: small.metric("kelp_queue_depth") == 0)


def test_a_grpc_caller_that_cancels_is_dropped(small, infer):
    before, left = predicted(small), small.metric("kelp_requests_total", protocol="grpc", code="499")
    busy = infer(future=True, delay_s=1)
    wait_for(lambda: predicted(small) == before + 1)
    gone = infer(future=True)
    wait_for(lambda: small.metric("kelp_queue_depth") == 1)
    gone.cancel()
    wait_for(lambda: small.metric("kelp_requests_total", protocol="grpc", code="499") == left + 1)
    assert busy.result(10)
    assert idle(small)
    assert predicted(small) == before + 2
