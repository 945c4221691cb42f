"""Our clients against KServe's own server, REST and gRPC."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from kelp import errors
from kelp.client import Client, ClientConfig
from kelp.codec import InferRequest, Tensor
from tests.client.calling import CLIENTS, call

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = (
    Tensor.from_array("image", np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)),
    Tensor.from_array("points", np.array([[0.1, -2.5]], np.float32)),
    Tensor.from_array("label_id", np.array([3, -1], np.int64)),
    Tensor.from_array("yes", np.array([True, False])),
)
TEXTS = Tensor.from_bytes("labels", ["Acropora", "ä"])
FILE = Tensor.from_bytes("file", [b"\xff\xd8\xff\x00"])


@pytest.fixture(scope="module")
def stock():
    if find_spec("kserve") is None:
        pytest.skip("kserve is not installed")
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        rest, grpc = (one.getsockname()[1] for one in sockets)
    script = ROOT / "tests" / "client" / "kserve_echo.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen(
        [sys.executable, script, str(rest), str(grpc)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        # Waited for with the client's own means: nobody listens there for the first seconds.
        with Client(ClientConfig(f"http://127.0.0.1:{rest}", cold_start_s=90)) as client:
            client.wait_ready("echo")
        yield {"rest": f"http://127.0.0.1:{rest}", "grpc": f"127.0.0.1:{grpc}"}
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture(params=list(CLIENTS))
def kind(request):
    return request.param


def address(stock, kind) -> str:
    return stock[kind.partition("-")[0]]


def test_tensors_come_back(stock, kind):
    inputs = NUMBERS if kind.startswith("rest") else (*NUMBERS, TEXTS, FILE)
    response = call(kind, address(stock, kind), "infer", InferRequest("echo", inputs, id="7"))
    for given, sent in zip(response.outputs, inputs, strict=True):
        assert (given.name, given.datatype, given.shape) == (sent.name, sent.datatype, sent.shape)
        if given.datatype == "BYTES":
            assert [bytes(e) for e in given.elements] == list(sent.elements)
        else:
            np.testing.assert_array_equal(given.array, sent.array)


@pytest.mark.parametrize("kind", ["rest", "rest-async"])
def test_lists_in_json_come_back(stock, kind):
    inputs = (*NUMBERS[1:], TEXTS)
    request = InferRequest("echo", inputs, id="7")
    response = call(kind, stock["rest"], "infer", request, config={"binary": False})
    assert response.outputs_by_name["labels"].texts() == ["Acropora", "ä"]
    np.testing.assert_array_equal(response.outputs_by_name["points"].array, inputs[0].array)


def test_questions_are_answered(stock, kind):
    url = address(stock, kind)
    assert call(kind, url, "live") is True
    assert call(kind, url, "server_ready") is True
    assert call(kind, url, "ready", "echo") is True
    assert call(kind, url, "metadata", "echo")["name"] == "echo"


@pytest.mark.parametrize("kind", ["rest", "rest-async"])
def test_the_models_are_those_it_lists(stock, kind):
    assert [model.name for model in call(kind, stock["rest"], "models")] == ["echo"]


def test_a_model_that_it_has_not_is_not_found(stock, kind):
    with pytest.raises(errors.NotFound, match="other"):
        call(kind, address(stock, kind), "infer", InferRequest("other", NUMBERS))
