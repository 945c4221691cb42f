"""`kelp up` with real predictors, called by real clients over REST and gRPC."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator

import cv2
import grpc
import httpx
import numpy as np
import psutil
import pytest

from kelp.client import Client, ClientConfig, GrpcClient
from kelp.codec import InferRequest, Tensor
from kelp.codec.grpc_messages import encode_request
from kelp.codec.grpc_pool import path_of
from kelp.errors import InvalidRequest, NotFound, TooLarge, TooLate
from tests.local.conftest import Up, eventually, starter, write_card
from tests.support.predictor import NUMPY_RUNTIME

IMAGE = np.kron(np.arange(0, 256, 16, dtype=np.uint8).reshape(4, 4), np.ones((30, 40), np.uint8))
IMAGE = np.dstack([IMAGE, IMAGE // 2, IMAGE // 3])
JPEG = cv2.imencode(".png", IMAGE)[1].tobytes()
LIMIT = 33_554_432
SHA = hashlib.sha256(b"reef").hexdigest()  # of what write_card writes


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("real")
    write_card(folder / "models", "reef")
    write_card(folder / "models", "mortal")
    write_card(folder / "models", "small", limits={"body": LIMIT})
    write_card(folder / "models", "unlabelled", labels=[], weights={"uri": "weights.bin", "sha256": SHA})
    with starter(folder) as start:
        yield start([sys.executable, "-m", "kelp.cli", "up", "--no-bridge"], **NUMPY_RUNTIME)


@pytest.fixture
def rest(up) -> Iterator[Client]:
    with Client(ClientConfig(up.url)) as client:
        yield client


@pytest.fixture
def rpc(up) -> Iterator[GrpcClient]:
    with GrpcClient(ClientConfig(f"127.0.0.1:{up.grpc_port}")) as client:
        yield client


@pytest.fixture
def channel(up) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{up.grpc_port}") as channel:
        yield channel


def request(model: str = "reef", **parameters: object) -> bytes:
    tensor = Tensor.from_bytes("image", [JPEG])
    return encode_request(InferRequest(model_name=model, inputs=(tensor,), parameters=parameters))


def infer_call(channel: grpc.Channel):
    return channel.unary_unary(path_of("ModelInfer"))


def model_metric(up: Up, code: int, protocol: str) -> float:
    """`kelp_requests_total` of the model's own process."""
    return sample(up, f'kelp_requests_total{{model="reef",protocol="{protocol}",code="{code}"}}')


def sample(up: Up, name: str) -> float:
    """A sample of the model's own process, by its name and labels; 0 where there is none."""
    total = 0.0
    for child in up.children():
        for connection in child.connections("tcp"):
            if connection.status != psutil.CONN_LISTEN:
                continue
            try:
                text = httpx.get(f"http://127.0.0.1:{connection.laddr.port}/metrics", trust_env=False).text
            except httpx.HTTPError:
                continue  # its gRPC port
            total += sum(float(n) for n in re.findall(re.escape(name) + r" (\d+)", text))
    return total


def test_both_protocols_wake_a_model_and_find_the_same(rest, rpc):
    by_rest, by_grpc = rest.detect("reef", [JPEG]), rpc.detect("reef", [JPEG])
    assert len(by_rest) > 0
    np.testing.assert_array_equal(by_rest.box, by_grpc.box)
    np.testing.assert_array_equal(by_rest.polygon_points, by_grpc.polygon_points)
    raw = rest.detect("reef", [IMAGE])  # UINT8 over the binary extension
    np.testing.assert_array_equal(raw.box, by_rest.box)


def test_listing_and_metadata_over_grpc_come_from_the_cards(rpc, up):
    assert {entry.name for entry in rpc.models()} == {"reef", "mortal", "small", "unlabelled"}
    card = rpc.metadata("small")["parameters"]["card"]
    assert [label["name"] for label in card["labels"]] == ["red", "green", "blue"]
    assert rpc.live()
    assert rpc.server_ready()
    assert up.state("small") in {"asleep", "ready"}


def test_asking_over_grpc_whether_a_model_is_ready_wakes_it(rpc, up):
    assert rpc.ready("reef")
    assert up.state("reef") == "ready"


def test_triton_s_client_takes_the_endpoint_for_a_server(up):
    triton = pytest.importorskip("tritonclient.grpc")
    with triton.InferenceServerClient(f"127.0.0.1:{up.grpc_port}") as client:
        assert client.is_server_live()
        assert client.is_model_ready("reef")
        assert client.get_model_metadata("reef").name == "reef"
        image = triton.InferInput("image", [1], "BYTES")
        image.set_data_from_numpy(np.array([JPEG], dtype=object))
        assert client.infer("reef", [image]).as_numpy("score").ndim == 1
        client.unload_model("reef")
        eventually(lambda: up.state("reef") == "asleep")
        client.load_model("reef")
        assert up.state("reef") == "ready"


def test_errors_pass_through_with_code_and_status(rest, rpc, channel):
    for client in (rest, rpc):
        with pytest.raises(InvalidRequest, match="unknown parameter 'nonsense'") as caught:
            client.detect("reef", [JPEG], parameters={"nonsense": 1})
        assert caught.value.code == "unknown_parameter"
        with pytest.raises(InvalidRequest) as caught:
            client.detect("reef", [JPEG, b"no image"])
        assert caught.value.image_indices == [1]
        with pytest.raises(NotFound, match="there are: mortal, reef"):
            client.detect("kelp", [JPEG])
    with pytest.raises(grpc.RpcError) as broken:
        infer_call(channel)(b"\xff\xff\xff")
    assert broken.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_metadata_passes_through_both_ways(channel):
    answer, call = infer_call(channel).with_call(request(), metadata=(("x-request-id", "reef-42"),))
    assert answer
    assert ("x-request-id", "reef-42") in call.trailing_metadata()


def test_a_deadline_passes_through_and_frees_the_model(up, channel, rpc):
    rpc.ready("reef")
    with pytest.raises(grpc.RpcError) as caught:
        infer_call(channel)(request(delay_s=20.0), timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    with pytest.raises(TooLate):
        rpc.detect("reef", [JPEG], parameters={"delay_s": 20.0}, timeout_s=0.5)
    eventually(lambda: model_metric(up, 504, "grpc") + model_metric(up, 499, "grpc") >= 2)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_caller_that_leaves_is_seen_by_the_model(up, channel, rpc, protocol):
    rpc.wait_ready("reef")
    before = model_metric(up, 499, protocol)

    def leave() -> None:
        if protocol == "grpc":
            call = infer_call(channel).future(request(delay_s=1.0))
            with pytest.raises(grpc.FutureTimeoutError):
                call.result(timeout=0.4)
            call.cancel()
            return
        tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 4, 4, 3], "data": [200] * 48}
        body = {"inputs": [tensor], "parameters": {"delay_s": 1.0}}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{up.url}/v2/models/reef/infer", json=body, timeout=0.4, trust_env=False)

    def was_seen() -> bool:  # one that leaves before it has reached the model is no news to that
        leave()
        return model_metric(up, 499, protocol) > before

    eventually(was_seen)


def test_a_death_during_a_call_is_told_over_grpc(up, channel, rpc):
    rpc.wait_ready("mortal")
    prepared = 'kelp_phase_duration_seconds_count{model="mortal",phase="preprocess"}'
    before = sample(up, prepared)
    call = infer_call(channel).future(request("mortal", delay_s=30.0))
    eventually(lambda: sample(up, prepared) > before)  # it is in the model, which now predicts for long
    (child,) = [p for p in up.children() if any(a.endswith("mortal.yaml") for a in p.cmdline())]
    child.kill()
    with pytest.raises(grpc.RpcError) as caught:
        call.result(timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "died during this request" in caught.value.details()
    rpc.wait_ready("mortal", timeout_s=60)  # mended


def test_a_message_over_the_cards_limit_is_refused(up, rpc):
    with pytest.raises(TooLarge):
        rpc.infer(InferRequest("small", (Tensor.from_bytes("image", [bytes(LIMIT + (1 << 17))]),)))


def test_labels_that_only_the_weights_carry_are_learned_and_remembered(up, rest):
    assert up.card("unlabelled")["labels"] == []
    rest.detect("unlabelled", [JPEG])
    assert [label["name"] for label in up.card("unlabelled")["labels"]] == ["red", "green", "blue"]
