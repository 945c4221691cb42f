"""Run as a script: tritonclient's own encoders and decoders against the codec, in one process with it.

A process of its own, because tritonclient's and kserve's gRPC files cannot be loaded together.
"""

from __future__ import annotations

from concurrent import futures

import grpc
import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from kelp.codec import InferResponse, decode_request, encode_request, encode_response, grpc_messages, header_length_of
from kelp.codec.grpc_pool import METHODS, path_of

IMAGE = np.random.default_rng(1).integers(0, 256, (1, 30, 40, 3), np.uint8)
FILES = np.array([b"\xff\xd8\xff\x00", b"", b"abc"], object)
POINTS = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
HALF = np.array([1.5, -2], np.float16)


def inputs(kind):
    found = []
    for name, array, datatype in (
        ("pixels", IMAGE, "UINT8"),
        ("image", FILES, "BYTES"),
        ("points", POINTS, "FP32"),
        ("half", HALF, "FP16"),
        ("none", np.zeros((0, 4), np.int64), "INT64"),
        ("yes", np.array([True, False]), "BOOL"),
    ):
        one = kind(name, list(array.shape), datatype)
        one.set_data_from_numpy(array)
        found.append(one)
    return found


def check(as_numpy) -> None:
    np.testing.assert_array_equal(as_numpy("pixels"), IMAGE)
    np.testing.assert_array_equal(as_numpy("image"), FILES)
    np.testing.assert_array_equal(as_numpy("points"), POINTS)
    np.testing.assert_array_equal(as_numpy("half"), HALF)
    assert as_numpy("none").shape == (0, 4)
    np.testing.assert_array_equal(as_numpy("yes"), [True, False])


def over_http() -> None:
    body, length = triton_http.InferenceServerClient.generate_request_body(
        inputs(triton_http.InferInput), request_id="7", timeout=9, parameters={"conf_threshold": 0.25}
    )
    request = decode_request(body, length, model_name="m")
    assert (request.id, request.answer, request.parameters["conf_threshold"]) == ("7", "binary", 0.25)
    buffers, headers = encode_response(InferResponse("m", request.inputs), request)
    result = triton_http.InferenceServerClient.parse_response_body(
        b"".join(buffers), header_length=header_length_of(headers["inference-header-content-length"])
    )
    check(result.as_numpy)

    named = [triton_http.InferRequestedOutput("image", binary_data=False), triton_http.InferRequestedOutput("points")]
    body, length = triton_http.InferenceServerClient.generate_request_body(
        inputs(triton_http.InferInput)[1:3], outputs=named
    )
    request = decode_request(body, length)
    assert (request.wants_binary("image"), request.wants_binary("points")) == (False, True)

    text = triton_http.InferInput("labels", [2], "BYTES")
    text.set_data_from_numpy(np.array(["ä".encode(), b"b"], object), binary_data=False)
    body, length = triton_http.InferenceServerClient.generate_request_body([text])
    assert decode_request(body, length).inputs[0].texts() == ["ä", "b"]


def over_grpc() -> None:
    def infer(raw: bytes, _: grpc.ServicerContext) -> bytes:
        request = grpc_messages.decode_request(raw)
        assert dict(request.parameters) == {"conf_threshold": 0.25, "priority": 2, "timeout": 5}
        return grpc_messages.encode_response(InferResponse("m", request.inputs, id=request.id), request)

    def load(raw: bytes, _: grpc.ServicerContext) -> bytes:
        asked = METHODS["RepositoryModelLoad"][0].FromString(raw)
        return METHODS["RepositoryModelLoad"][1](model_name=asked.model_name, isLoaded=True).SerializeToString()

    handlers = {path_of("ModelInfer"): infer, path_of("RepositoryModelLoad"): load}

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(handlers[details.method])

    server = grpc.server(futures.ThreadPoolExecutor(2), [Handlers()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
        result = client.infer(
            "m",
            inputs(triton_grpc.InferInput),
            request_id="7",
            priority=2,
            timeout=5,
            parameters={"conf_threshold": 0.25},
        )
        assert result.get_response().id == "7"
        check(result.as_numpy)
        client.load_model("m")
    server.stop(0).wait(5)


def ours_to_theirs() -> None:
    """Our request, read by Triton's own message class."""
    from tritonclient.grpc import service_pb2

    body, length = triton_http.InferenceServerClient.generate_request_body(inputs(triton_http.InferInput))
    request = decode_request(body, length, model_name="m")
    theirs = service_pb2.ModelInferRequest.FromString(grpc_messages.encode_request(request))
    assert [i.name for i in theirs.inputs] == ["pixels", "image", "points", "half", "none", "yes"]
    assert theirs.raw_input_contents[0] == IMAGE.tobytes()
    assert b"".join(encode_request(request)[0]).endswith(b"\1\0")


over_http()
over_grpc()
ours_to_theirs()
