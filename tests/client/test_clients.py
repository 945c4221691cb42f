"""The four clients do the same over REST and gRPC, against servers that answer, stall, break and refuse."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import numpy as np
import pytest

from kelp import errors
from kelp.client import AsyncClient, AsyncGrpcClient, ClientConfig, ConnectionBroken, MalformedAnswer
from kelp.codec import InferRequest, Tensor
from tests.client.calling import QUICK, REQUEST, call
from tests.client.grpc_server import grpc_server
from tests.client.http_server import http_server, poll
from tests.client.proxy import breaking_proxy
from tests.codec.tensors import assert_same_tensor


def fail_with(kind: str, error: errors.KelpError):
    """The plan's entry that makes the server of that protocol answer with `error`."""
    if kind.startswith("grpc"):
        return error
    wait = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return error.status, error.to_json(), wait


def same_answer(response) -> None:
    assert (response.model_name, response.id) == ("m", "7")
    for given, sent in zip(response.outputs, REQUEST.inputs, strict=True):
        assert_same_tensor(given, sent)


def test_tensors_come_back(kind, server):
    same_answer(call(kind, server.url, "infer", REQUEST))
    assert server.infers[0].parameters["conf_threshold"] == 0.5
    assert server.infers[0].answer == "binary"


def test_questions_are_answered(kind, server):
    assert call(kind, server.url, "live") is True
    assert call(kind, server.url, "server_ready") is True
    assert call(kind, server.url, "ready", "m") is True
    assert call(kind, server.url, "metadata", "m")["parameters"]["card"] == {"title": "M"}
    assert [(m.name, m.state) for m in call(kind, server.url, "models")] == [("one", "READY"), ("two", "")]


def test_a_model_that_is_not_ready_is_waited_for(kind, server):
    server.plan[:] = [fail_with(kind, errors.NotReady("starting"))] * 4
    same_answer(call(kind, server.url, "infer", REQUEST))
    assert len(server.requests) == 5


def test_the_wait_is_told(kind, server):
    server.plan[:] = ["slow"]
    waited: list[float] = []
    same_answer(call(kind, server.url, "infer", REQUEST, on_waiting=waited.append))
    assert waited
    assert waited == sorted(waited)


def test_readiness_is_asked_once_and_waited_for_on_demand(kind, server):
    server.plan[:] = [fail_with(kind, errors.NotReady("starting"))] * 4
    assert call(kind, server.url, "ready", "m") is False
    assert len(server.requests) == 1
    call(kind, server.url, "wait_ready", "m")
    assert len(server.requests) == 5


def test_the_wait_has_an_end(kind, server):
    server.plan[:] = [fail_with(kind, errors.NotReady("starting"))] * 1000
    with pytest.raises(errors.NotReady, match="starting"):
        call(kind, server.url, "infer", REQUEST, config={"cold_start_s": 0.3})
    with pytest.raises(errors.NotReady, match="starting"):
        call(kind, server.url, "wait_ready", "m", timeout_s=0.2)
    assert len(server.requests) < 100
    server.plan[:] = ["hang"]
    with pytest.raises(errors.NotReady, match=r"not ready within 0\.2 s"):
        call(kind, server.url, "wait_ready", "m", timeout_s=0.2)


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidImage("images 1 and 3 are broken", image_indices=[1, 3]),
        errors.InvalidRequest("unknown parameter 'a'", code="unknown_parameter"),
        errors.NotFound("no model 'm'"),
        errors.Unauthorized("who?"),
        errors.TooLarge("more than 64 MiB"),
        errors.OutOfMemory("one image does not fit", retry_after_s=1.0),
        errors.KelpError("broken"),
        errors.TooLate("30 s"),
        errors.NotSupported("no"),
    ],
    ids=lambda e: e.code,
)
def test_final_errors_come_back_as_they_were_raised_and_are_not_repeated(kind, server, error):
    server.plan[:] = [fail_with(kind, error)]
    with pytest.raises(type(error)) as caught:
        call(kind, server.url, "infer", REQUEST)
    got = caught.value
    assert (got.message, got.code, got.image_indices, got.retry_after_s) == (
        error.message, error.code, error.image_indices, error.retry_after_s,
    )  # fmt: skip
    assert len(server.requests) == 1


def test_a_full_queue_and_a_bad_gateway_are_repeated_a_few_times(kind, server):
    full, bad = fail_with(kind, errors.QueueFull("64 wait")), fail_with(kind, errors.BadGateway("upstream"))
    server.plan[:] = [full, bad, full]
    same_answer(call(kind, server.url, "infer", REQUEST, config={"retries": 3}))
    server.plan[:] = [full] * 3
    with pytest.raises(errors.QueueFull, match="64 wait"):
        call(kind, server.url, "infer", REQUEST, config={"retries": 2})
    assert len(server.requests) == 4 + 3


def test_a_connection_that_breaks_is_repeated_a_few_times(kind, server):
    large = InferRequest("m", (Tensor.from_bytes("image", [b"x" * 200_000]),), id="7")
    for breaks, retries in ((2, 2), (3, 2)):
        with breaking_proxy(server.port, breaks=breaks) as proxy:
            url = server.url.replace(str(server.port), str(proxy.port))
            if breaks <= retries:
                assert call(kind, url, "infer", large, config={"retries": retries}).id == "7"
            else:
                with pytest.raises(ConnectionBroken):
                    call(kind, url, "infer", large, config={"retries": retries})
            assert proxy.connections == 3


@pytest.mark.parametrize("kind", ["rest", "rest-async"])
def test_http_answers_that_break_off_are_repeated(kind, server):
    server.plan[:] = ["reset", "cut", "answer"]
    same_answer(call(kind, server.url, "infer", REQUEST))


@pytest.mark.parametrize("kind", ["grpc", "grpc-async"])
def test_a_call_dropped_by_the_other_side_is_repeated(kind, server):
    server.plan[:] = ["cancel", "answer"]
    same_answer(call(kind, server.url, "infer", REQUEST))


def test_a_server_that_comes_up_late_is_waited_for(kind):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))  # bound and never listening: connections are refused
        port = taken.getsockname()[1]
        rest = kind.startswith("rest")
        waiting = threading.Event()
        results = []

        def ask() -> None:
            url = f"{'http' if rest else 'grpc'}://127.0.0.1:{port}"
            results.append(call(kind, url, "infer", REQUEST, on_waiting=lambda _: waiting.set()))

        thread = threading.Thread(target=ask)
        thread.start()
        assert waiting.wait(10)
        with http_server(port) if rest else grpc_server(port):
            thread.join(20)
        same_answer(results[0])


def test_nobody_there_is_said_so(kind):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"{'http' if kind.startswith('rest') else 'grpc'}://127.0.0.1:{taken.getsockname()[1]}"
        for question in ("live", "server_ready"):
            assert call(kind, url, question) is False
        with pytest.raises(errors.Unreachable):
            call(kind, url, "metadata", "m")
        with pytest.raises(errors.Unreachable):
            call(kind, url, "infer", REQUEST, config={"cold_start_s": 0.2})


def test_an_answer_that_does_not_come_is_too_late(kind, server):
    server.plan[:] = ["hang"]
    started = time.monotonic()
    with pytest.raises(errors.TooLate):
        call(kind, server.url, "infer", REQUEST, timeout_s=0.4)
    assert time.monotonic() - started >= 0.4
    assert server.left.wait(10)
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", ["rest", "rest-async"])
def test_an_answer_that_never_ends_is_too_late(kind, server):
    server.plan[:] = ["drip"]
    with pytest.raises(errors.TooLate):
        call(kind, server.url, "infer", REQUEST, timeout_s=0.4)


@pytest.mark.parametrize("kind", ["rest", "rest-async"])
def test_the_read_time_out_is_one_of_four(kind, server):
    server.plan[:] = ["hang"]
    with pytest.raises(errors.TooLate, match="ReadTimeout"):
        call(kind, server.url, "infer", REQUEST, config={"read_s": 0.2})


def test_the_server_is_told_how_much_time_is_left(kind, server):
    call(kind, server.url, "infer", REQUEST, timeout_s=5)
    call(kind, server.url, "infer", InferRequest("m", REQUEST.inputs, parameters={"timeout": 1000}), timeout_s=5)
    first, second = (request.parameters["timeout"] for request in server.infers)
    assert 0 < first <= 5_000_000
    assert second == 1000


def test_a_malformed_answer_is_the_servers_fault(kind, server):
    server.plan[:] = ["garbage"]
    with pytest.raises(MalformedAnswer, match="malformed answer from"):
        call(kind, server.url, "infer", REQUEST)
    assert len(server.requests) == 1


def test_the_token_is_sent_and_never_shown(kind, server):
    call(kind, server.url, "infer", REQUEST, config={"token": "s3cret"})
    assert server.requests[0][2]["authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(ClientConfig("http://h", token="s3cret"))


@pytest.mark.parametrize("kind", ["rest-async", "grpc-async"])
def test_a_caller_that_leaves_lets_go_of_the_connection(kind, server):
    server.plan[:] = ["hang"]

    async def run() -> None:
        make = AsyncClient if kind.startswith("rest") else AsyncGrpcClient
        async with make(ClientConfig(server.url, **QUICK)) as client:
            task = asyncio.create_task(client.infer(REQUEST, on_waiting=lambda _: None))
            assert await asyncio.to_thread(poll, lambda: server.requests)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.left.wait, 10)

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["rest-async", "grpc-async"])
def test_callers_that_left_take_no_connection_with_them(kind, server):
    server.plan[:] = ["hang"] * 6

    async def run() -> None:
        make = AsyncClient if kind.startswith("rest") else AsyncGrpcClient
        async with make(ClientConfig(server.url, connections=2, **QUICK)) as client:
            for count in range(1, 7):
                task = asyncio.create_task(client.infer(REQUEST))
                assert await asyncio.to_thread(poll, lambda count=count: len(server.requests) == count)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            same_answer(await client.infer(REQUEST))

    asyncio.run(run())


def test_many_calls_share_one_client(kind, server):
    requests = [InferRequest("m", REQUEST.inputs, id=str(i)) for i in range(40)]

    async def run() -> list[str]:
        make = AsyncClient if kind.startswith("rest") else AsyncGrpcClient
        async with make(ClientConfig(server.url, connections=4, **QUICK)) as client:
            return [r.id for r in await asyncio.gather(*(client.infer(r) for r in requests))]

    if kind.endswith("async"):
        assert asyncio.run(run()) == [str(i) for i in range(40)]
        if kind.startswith("rest"):
            assert server.connections <= 4
    else:
        ids: list[str] = []
        threads = [
            threading.Thread(target=lambda r=r: ids.append(call(kind, server.url, "infer", r).id)) for r in requests[:8]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(ids) == [str(i) for i in range(8)]


@pytest.mark.parametrize("kind", ["rest", "rest-async"])
def test_lists_of_numbers_for_servers_that_know_no_binary_data(kind, server):
    same_answer(call(kind, server.url, "infer", REQUEST, config={"binary": False}))
    _, _, headers, body = server.requests[0]
    assert headers["content-type"] == "application/json"
    assert b'"data":[0.0,1.0,2.0,3.0]' in body


@pytest.mark.parametrize("kind", ["rest", "rest-async"])
def test_paths_are_quoted_and_versions_named(kind, server):
    call(kind, server.url + "/base", "infer", InferRequest("a b/c", REQUEST.inputs, model_version="2"))
    assert server.requests[0][1] == "/base/v2/models/a%20b%2Fc/versions/2/infer"


@pytest.mark.parametrize("kind", ["rest", "rest-async"])
def test_a_page_of_a_proxy_is_no_answer(kind, server):
    server.plan[:] = [(418, b"<html>teapot</html>", {})]
    with pytest.raises(errors.InvalidRequest, match="teapot"):
        call(kind, server.url, "infer", REQUEST)
    server.plan[:] = [(200, b"<html>welcome</html>", {})]
    with pytest.raises(MalformedAnswer, match="not valid JSON"):
        call(kind, server.url, "infer", REQUEST)


@pytest.mark.parametrize("kind", ["rest"])
def test_a_redirect_is_not_followed(kind, server):
    server.plan[:] = [(307, {}, {"location": "http://127.0.0.1:1/elsewhere"})]
    with pytest.raises(errors.KelpError, match="307"):
        call(kind, server.url, "infer", REQUEST)
    assert len(server.requests) == 1


def test_images_are_sent_as_they_are(kind, server):
    """The echo has no detections, which is said; the request is what matters here."""
    image = np.zeros((4, 6, 3), np.uint8)
    for images in ([b"\xff\xd8"], [image], [image, image]):
        with pytest.raises(errors.BadGateway, match="lacks: image_index"):
            call(kind, server.url, "detect", "m", images, outputs=["box"], parameters={"conf_threshold": 0.1})
    files, one, two = server.infers
    assert (files.inputs[0].datatype, files.named_outputs) == ("BYTES", {"box"})
    assert (one.inputs[0].shape, two.inputs[0].shape) == ((1, 4, 6, 3), (2, 4, 6, 3))
    assert one.parameters["conf_threshold"] == 0.1
