"""The bytes on the wire, written down: whoever changes them changes what other clients and servers see."""

from __future__ import annotations

import numpy as np

from kelp.codec import (
    InferRequest,
    InferResponse,
    RequestedOutput,
    Tensor,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from kelp.codec.binary import gather

IMAGE = Tensor.from_bytes("image", [b"\xff\xd8", b""])
POINTS = Tensor.from_array("points", np.array([[0.1, -2.0]], np.float32))

BINARY_REQUEST = (
    b'{"id":"7","parameters":{"conf_threshold":0.25,"binary_data_output":true},"outputs":[{"name":"box"}],'
    b'"inputs":[{"name":"image","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":10}},'
    b'{"name":"points","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}'
    b"      \x02\x00\x00\x00\xff\xd8\x00\x00\x00\x00\xcd\xcc\xcc=\x00\x00\x00\xc0"
)
JSON_ANSWER = (
    b'{"model_name":"m","id":"7","outputs":[{"name":"image","datatype":"BYTES","shape":[2],"data":["/9g=",""]},'
    b'{"name":"points","datatype":"FP32","shape":[1,2],"data":[0.1,-2.0]}]}'
)


def test_a_binary_request():
    request = InferRequest(
        "m", (IMAGE, POINTS), (RequestedOutput("box"),), {"conf_threshold": 0.25}, id="7", answer="binary"
    )
    buffers, headers = encode_request(request)
    assert b"".join(buffers) == BINARY_REQUEST
    assert headers == {
        "content-type": "application/octet-stream",
        "inference-header-content-length": "288",
        "content-length": "306",
    }
    assert decode_request(BINARY_REQUEST, 288).inputs_by_name["points"].array.tolist() == [[np.float32(0.1), -2.0]]


def test_a_json_answer():
    buffers, headers = encode_response(InferResponse("m", (IMAGE, POINTS), id="7"), InferRequest("m", ()))
    assert b"".join(buffers) == JSON_ANSWER
    assert headers == {"content-type": "application/json", "content-length": str(len(JSON_ANSWER))}
    assert [bytes(e) for e in decode_response(JSON_ANSWER).outputs[0].elements] == [b"\xff\xd8", b""]


def test_a_request_as_people_write_it():
    body = b"""{
        "inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["/9g="]},
                   {"name": "points", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2.5], [3, 4]]},
                   {"name": "label", "shape": [1, 2], "datatype": "BYTES", "data": [["\\u00e4", "b"]]},
                   {"name": "one", "shape": [], "datatype": "INT64", "data": [5]}]
    }"""
    image, points, label, one = decode_request(body, model_name="m").inputs
    assert bytes(image.elements[0]) == b"\xff\xd8"
    assert points.array.tolist() == [[1, 2.5], [3, 4]]
    assert label.texts() == ["ä", "b"]
    assert one.array.item() == 5


def test_small_buffers_travel_together_and_large_ones_alone():
    large = bytes(100_000)
    gathered = gather([b"a", b"b", large, b"", b"c", memoryview(b"d")])
    assert [bytes(g[:2]) for g in gathered] == [b"ab", b"\0\0", b"cd"]
    assert gathered[1] is large
