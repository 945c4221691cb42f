"""Every malformed request is refused with a 4xx that says where, and the connection goes on working."""

from __future__ import annotations

import base64
import copy
import gzip
import http.client
import io
import json
import zlib
from typing import Any

import grpc
import pytest

from kelp.codec.grpc_pool import METHODS, path_of
from tests.serving.wire import body, error_of, picture, png

GOOD = png(picture())
OCTETS = "application/octet-stream"


def changed(path: str, value: Any) -> bytes:
    """A good JSON request with one place of it changed; `...` removes it."""
    request = copy.deepcopy(body(GOOD))
    at: Any = request
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(request).encode()


def raw(
    inputs: list[dict[str, Any]], tail: bytes, header: str | None = None, **more: Any
) -> tuple[bytes, dict[str, str]]:
    """A request in the binary extension: JSON, then `tail`."""
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + tail, {"inference-header-content-length": str(len(head)) if header is None else header}


def tensor(
    size: Any, shape: Any = (1,), datatype: str = "BYTES", name: str = "image", **parameters: Any
) -> dict[str, Any]:
    given = {} if size is ... else {"binary_data_size": size}
    return {"name": name, "shape": list(shape), "datatype": datatype, "parameters": {**given, **parameters}}


ELEMENT = len(GOOD).to_bytes(4, "little") + GOOD
PIXELS = [1, 2, 2, 3]

# name, body, headers, what the message must name
JSON_CASES: list[tuple[str, bytes, str]] = [
    ("empty body", b"", "body"),
    ("not JSON", b"{", "body"),
    ("not an object", b"[1]", "body"),
    ("NaN", b'{"inputs": NaN}', "body"),
    ("invalid UTF-8", b'{"id": "\xff"}', "body"),
    ("no inputs", b"{}", "inputs"),
    ("inputs null", changed("inputs", None), "inputs"),
    ("inputs empty", changed("inputs", []), "inputs"),
    ("inputs an object", changed("inputs", {}), "inputs"),
    ("input a string", changed("inputs", ["image"]), "inputs[0]"),
    ("no name", changed("inputs.0.name", ...), "inputs[0]: name"),
    ("name a number", changed("inputs.0.name", 3), "inputs[0].name"),
    ("no datatype", changed("inputs.0.datatype", ...), "inputs[0]: datatype"),
    ("unknown datatype", changed("inputs.0.datatype", "JPEG"), "inputs[0].datatype"),
    ("no shape", changed("inputs.0.shape", ...), "inputs[0]: shape"),
    ("negative dimension", changed("inputs.0.shape", [-1]), "inputs[0].shape"),
    ("fractional dimension", changed("inputs.0.shape", [1.5]), "inputs[0].shape"),
    ("dimension a string", changed("inputs.0.shape", ["1"]), "inputs[0].shape"),
    ("enormous shape", changed("inputs.0.shape", [10**18, 10**18]), "inputs[0].shape"),
    ("shape and data disagree", changed("inputs.0.shape", [2]), "inputs[0].data"),
    ("no data", changed("inputs.0.data", ...), "inputs[0]: data"),
    ("data a string", changed("inputs.0.data", ...), "inputs[0]: data"),
    ("invalid base64", changed("inputs.0.data", ["%%%%"]), "inputs[0].data[0]"),
    ("element a number", changed("inputs.0.data", [5]), "inputs[0].data[0]"),
    ("unknown field of an input", changed("inputs.0.extra", 1), "extra"),
    ("unknown field", changed("extra", 1), "extra"),
    ("parameters a list", changed("parameters", [1]), "parameters"),
    ("parameter an object", changed("parameters", {"conf_threshold": {}}), "parameters.conf_threshold"),
    ("unknown parameter", changed("parameters", {"conf_treshold": 0.5}), "conf_treshold"),
    ("parameter out of range", changed("parameters", {"conf_threshold": 1.5}), "conf_threshold"),
    ("parameter of a wrong type", changed("parameters", {"conf_threshold": "high"}), "conf_threshold"),
    ("boolean as a number", changed("parameters", {"max_detections": True}), "max_detections"),
    ("another task's parameter", changed("parameters", {"grid_line_width": 8}), "grid_line_width"),
    ("timeout negative", changed("parameters", {"timeout": -1}), "timeout"),
    ("shared memory", changed("parameters", {"shared_memory_region": "x"}), "shared_memory_region"),
    (
        "shared memory of an input",
        changed("inputs.0.parameters", {"shared_memory_region": "x"}),
        "shared_memory_region",
    ),
    ("classification", changed("outputs", [{"name": "score", "parameters": {"classification": 3}}]), "classification"),
    ("outputs a string", changed("outputs", "score"), "outputs"),
    ("unknown output", changed("outputs", [{"name": "logits"}]), "logits"),
    ("output named twice", changed("outputs", [{"name": "score"}, {"name": "score"}]), "outputs[1]"),
    (
        "unknown input",
        changed("inputs", [{"name": "img", "datatype": "BYTES", "shape": [1], "data": ["AA=="]}]),
        "image",
    ),
    (
        "a second, unknown input",
        changed(
            "inputs", [*body(GOOD)["inputs"], {"name": "mask", "datatype": "BYTES", "shape": [1], "data": ["AA=="]}]
        ),
        "mask",
    ),
    (
        "image of a wrong type",
        changed("inputs.0", {"name": "image", "datatype": "FP32", "shape": [1], "data": [1.0]}),
        "image",
    ),
    (
        "uint8 of 300",
        changed("inputs.0", {"name": "image", "datatype": "UINT8", "shape": PIXELS, "data": [300] * 12}),
        "inputs[0].data",
    ),
    (
        "uint8 a float",
        changed("inputs.0", {"name": "image", "datatype": "UINT8", "shape": PIXELS, "data": [0.5] * 12}),
        "inputs[0].data",
    ),
    (
        "uint8 a string",
        changed("inputs.0", {"name": "image", "datatype": "UINT8", "shape": PIXELS, "data": ["1"] * 12}),
        "inputs[0].data",
    ),
    (
        "four channels",
        changed("inputs.0", {"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 4], "data": [0] * 4}),
        "image",
    ),
    ("no images", changed("inputs.0", {"name": "image", "datatype": "BYTES", "shape": [0], "data": []}), "image"),
    (
        "pixels of no size",
        changed("inputs.0", {"name": "image", "datatype": "UINT8", "shape": [1, 0, 5, 3], "data": []}),
        "image",
    ),
    ("another model in the body", changed("model_name", "other"), "model_name"),
    ("not an image", changed("inputs.0.data", [base64.b64encode(b"text").decode()]), "image 0"),
]

BINARY_CASES: list[tuple[str, tuple[bytes, dict[str, str]], str]] = [
    ("header not a number", raw([tensor(len(ELEMENT))], ELEMENT, "abc"), "Inference-Header-Content-Length"),
    ("header negative", raw([tensor(len(ELEMENT))], ELEMENT, "-4"), "Inference-Header-Content-Length"),
    ("header past the body", raw([tensor(len(ELEMENT))], ELEMENT, "999999"), "Inference-Header-Content-Length"),
    ("header inside the JSON", raw([tensor(len(ELEMENT))], ELEMENT, "10"), "body"),
    ("header of zero", raw([tensor(len(ELEMENT))], ELEMENT, "0"), "body"),
    ("tail too short", raw([tensor(len(ELEMENT))], ELEMENT[:-3]), "inputs[0]"),
    ("tail too long", raw([tensor(len(ELEMENT))], ELEMENT + b"xyz"), "3"),
    ("size a string", raw([tensor("12")], ELEMENT), "binary_data_size"),
    ("size negative", raw([tensor(-1)], ELEMENT), "binary_data_size"),
    ("size and data", raw([tensor(len(ELEMENT)) | {"data": ["AA=="]}], ELEMENT), "inputs[0]"),
    ("prefix past the end", raw([tensor(8)], b"\xff\xff\xff\x7fabcd"), "inputs[0]"),
    ("prefix cut", raw([tensor(2)], b"\x01\x00"), "inputs[0]"),
    ("fewer elements than the shape", raw([tensor(len(ELEMENT), [2])], ELEMENT), "inputs[0]"),
    ("more elements than the shape", raw([tensor(2 * len(ELEMENT))], ELEMENT * 2), "inputs[0]"),
    ("pixels and size disagree", raw([tensor(11, PIXELS, "UINT8")], bytes(11)), "inputs[0]"),
    ("no size beside a tail", raw([tensor(...)], ELEMENT), "inputs[0]"),
    (
        "binary_data_output a string",
        raw([tensor(len(ELEMENT))], ELEMENT, parameters={"binary_data_output": "yes"}),
        "binary_data_output",
    ),
]


@pytest.fixture(scope="module")
def connection(server):
    """One connection for all of them: an error must not cost it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.ports["rest"], timeout=30)
    connection.connect()
    yield connection
    connection.close()


def refused(
    connection: http.client.HTTPConnection, url: str, content: bytes, headers: dict[str, str], says: str
) -> None:
    before = connection.sock
    connection.request("POST", url, content, headers)
    response = connection.getresponse()
    text = response.read().decode()
    assert response.status == 400, text
    error = error_of(text)
    assert says in error["error"], error
    assert len(text) < 2000
    connection.request("GET", "/v2/health/live")
    alive = connection.getresponse()
    assert (alive.status, alive.read()) == (200, b'{"live":true}')
    assert connection.sock is before


@pytest.mark.parametrize(("content", "says"), [case[1:] for case in JSON_CASES], ids=[case[0] for case in JSON_CASES])
def test_malformed_json(server, connection, content, says):
    refused(connection, f"/v2/models/{server.name}/infer", content, {"content-type": "application/json"}, says)


@pytest.mark.parametrize(("request_", "says"), [c[1:] for c in BINARY_CASES], ids=[c[0] for c in BINARY_CASES])
def test_malformed_binary(server, connection, request_, says):
    content, headers = request_
    refused(connection, f"/v2/models/{server.name}/infer", content, {**headers, "content-type": OCTETS}, says)


def test_an_encoding_that_is_not_read_is_said(connection, server):
    connection.request("POST", f"/v2/models/{server.name}/infer", b"x", {"content-encoding": "br"})
    response = connection.getresponse()
    assert response.status == 415
    assert "expected gzip, deflate or none, got 'br'" in error_of(response.read().decode())["error"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    ("spoil", "status", "says"),
    [
        (lambda folded: folded, 200, ""),
        (lambda folded: b"x" + folded, 400, "body: not "),
        (lambda folded: folded[:-9], 400, "ends too early"),
        (lambda folded: folded + b"tail", 400, "body: not "),
    ],
    ids=["whole", "no such thing", "cut", "followed by something"],
)
def test_a_compressed_body_is_unfolded_or_what_is_wrong_with_it_is_said(
    connection, server, encoding, spoil, status, says
):
    fold = gzip.compress if encoding == "gzip" else zlib.compress
    folded = spoil(fold(json.dumps(body(GOOD)).encode()))
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    connection.request("POST", f"/v2/models/{server.name}/infer", folded, headers)
    response = connection.getresponse()
    answered = response.read().decode()
    assert response.status == status, answered
    assert says in (error_of(answered)["error"] if status != 200 else "")


def test_a_small_body_that_unfolds_beyond_the_limit_is_a_413(connection, server):
    with gzip.GzipFile(fileobj=(bomb := io.BytesIO()), mode="wb") as stream:
        for _ in range(1024):
            stream.write(bytes(1 << 20))
    connection.request("POST", f"/v2/models/{server.name}/infer", bomb.getvalue(), {"content-encoding": "gzip"})
    response = connection.getresponse()
    assert response.status == 413
    assert "unfolds to more than" in error_of(response.read().decode())["error"]


def test_the_message_shows_nothing_of_a_long_input(connection, server):
    secret = "hunter2" * 1000
    connection.request("POST", f"/v2/models/{server.name}/infer", changed("inputs.0.datatype", secret))
    response = connection.getresponse()
    assert len(response.read()) < 400


@pytest.fixture(scope="module")
def call(server):
    """ModelInfer with bytes of any kind."""
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel.unary_unary(path_of("ModelInfer"))


def message(**fields: Any) -> bytes:
    request_class, _ = METHODS["ModelInfer"]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1]}
    return request_class(
        **{"model_name": "numpy-reef", "inputs": [tensor], "raw_input_contents": [ELEMENT], **fields}
    ).SerializeToString()


TWO = [{"name": "image", "datatype": "BYTES", "shape": [1]}, {"name": "image", "datatype": "BYTES", "shape": [1]}]


@pytest.mark.parametrize(
    ("content", "status", "code", "says"),
    [
        (b"\xff\xff\xff", "INVALID_ARGUMENT", "invalid_request", ""),
        (b"", "INVALID_ARGUMENT", "invalid_request", "model_name"),
        (message(model_name="other"), "NOT_FOUND", "unknown_model", "other"),
        (message(model_version="9"), "NOT_FOUND", "unknown_version", "9"),
        (message(inputs=[]), "INVALID_ARGUMENT", "invalid_request", "inputs"),
        (message(inputs=TWO), "INVALID_ARGUMENT", "invalid_request", "raw_input_contents"),
        (
            message(inputs=TWO, raw_input_contents=[ELEMENT] * 2),
            "INVALID_ARGUMENT",
            "invalid_request",
            "inputs[1].name",
        ),
        (message(raw_input_contents=[ELEMENT[:-1]]), "INVALID_ARGUMENT", "invalid_request", "raw_input_contents[0]"),
        (message(raw_input_contents=[]), "INVALID_ARGUMENT", "invalid_request", "inputs[0]"),
        (message(outputs=[{"name": "logits"}]), "INVALID_ARGUMENT", "invalid_request", "logits"),
        (message(parameters={"nope": {"bool_param": True}}), "INVALID_ARGUMENT", "unknown_parameter", "nope"),
        (
            message(parameters={"conf_threshold": {"double_param": 7}}),
            "INVALID_ARGUMENT",
            "invalid_parameter",
            "conf_threshold",
        ),
        (message(raw_input_contents=[b"\4\0\0\0text"]), "INVALID_ARGUMENT", "invalid_image", "image 0"),
    ],
)
def test_malformed_grpc(call, content, status, code, says):
    with pytest.raises(grpc.RpcError) as caught:
        call(content, timeout=20)
    assert caught.value.code().name == status
    assert says in caught.value.details()
    trailing = dict(caught.value.trailing_metadata())
    assert trailing["kelp-code"] == code
    assert trailing.get("kelp-image-indices") == ("0" if code == "invalid_image" else None)
    assert "x-request-id" in trailing
    assert call(message(), timeout=20)


def test_unknown_call(server):
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(path_of("ModelStreamInfer"))(b"", timeout=20)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_no_traceback_was_caused(server):
    assert not any("traceback" in line for line in server.log())
