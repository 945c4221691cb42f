"""Every malformed REST body is a 400 whose text begins with the place that is wrong."""

from __future__ import annotations

import contextlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.codec import (
    InferRequest,
    InferResponse,
    RequestedOutput,
    Tensor,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    header_length_of,
)
from kelp.errors import InvalidRequest

GOOD = {"name": "x", "datatype": "UINT8", "shape": [2], "data": [1, 2]}


def tensor(**changes):
    """A body with one input, changed; a change to None removes the member."""
    merged = {**GOOD, **changes}
    return {"inputs": [{k: v for k, v in merged.items() if v is not None}]}


def texts(name, shape, data):
    return tensor(name=name, datatype="BYTES", shape=shape, data=data)


JSON_BODIES = {
    "no JSON": (b"{", "body: not valid JSON"),
    "empty": (b"", "body: not valid JSON"),
    "NaN": (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [NaN]}]}', "body: not valid JSON"),
    "infinity": (b'{"inputs": [{"data": [-Infinity]}]}', "body: not valid JSON"),
    "a number beyond all doubles": (b'{"inputs": [{"data": [1e999]}]}', "body: not valid JSON"),
    "not UTF-8": (b'{"id": "\xff"}', "body: not valid JSON"),
    "half a surrogate pair": (b'{"id": "\\ud800"}', "body: not valid JSON"),
    "nested without end": (b"[" * 5000, "body: not valid JSON"),
    "lists without number": (b"[" + b"[]," * (1 << 22) + b"[]]", "body: the JSON has more than 4194304 lists"),
    "text after the JSON": (b'{"inputs": []} x', "body: not valid JSON"),
    "a list": ([], "body: expected an object, got a list of 0"),
    "no inputs": ({}, "body: inputs is missing"),
    "inputs is null": ({"inputs": None}, "inputs: expected a list, got null"),
    "inputs is an object": ({"inputs": {}}, "inputs: expected a list, got an object"),
    "inputs is empty": ({"inputs": []}, "inputs: expected at least one tensor"),
    "too many inputs": ({"inputs": [GOOD] * 300}, "inputs: expected at most 256 tensors"),
    "a misspelt member": ({"paramters": {}, "inputs": [GOOD]}, "body: unknown member 'paramters'"),
    "another model": ({"model_name": "other", "inputs": [GOOD]}, "model_name: the path names 'm'"),
    "a numeric id": ({"id": 7, "inputs": [GOOD]}, "id: expected a string, got 7"),
    "parameters as a list": ({"parameters": [], "inputs": [GOOD]}, "parameters: expected an object"),
    "a parameter that is a list": (
        {"parameters": {"a": [1]}, "inputs": [GOOD]},
        "parameters.a: expected a string, a number or a boolean, got a list of 1",
    ),
    "a parameter that is null": ({"parameters": {"a": None}, "inputs": [GOOD]}, "parameters.a: expected a string"),
    "binary_data_output as text": (
        {"parameters": {"binary_data_output": "yes"}, "inputs": [GOOD]},
        "parameters.binary_data_output: expected true or false, got 'yes'",
    ),
    "too many parameters": (
        {"parameters": {str(i): i for i in range(300)}, "inputs": [GOOD]},
        "parameters: expected at most 256",
    ),
    "an input that is no object": ({"inputs": [GOOD, 3]}, "inputs[1]: expected an object, got 3"),
    "the same name twice": ({"inputs": [GOOD, GOOD]}, "inputs[1].name: the name 'x' is used twice"),
    "no name": (tensor(name=None), "inputs[0]: name is missing"),
    "an empty name": (tensor(name=""), "inputs[0].name: expected a name, got ''"),
    "a numeric name": (tensor(name=1), "inputs[0].name: expected a name, got 1"),
    "a misspelt member of an input": (tensor(shpae=[1]), "inputs[0]: unknown member 'shpae'"),
    "no datatype": (tensor(datatype=None), "inputs[0]: datatype is missing"),
    "an unknown datatype": (tensor(datatype="FLOAT"), "inputs[0].datatype: expected one of BOOL, UINT8"),
    "a datatype in small letters": (tensor(datatype="uint8"), "inputs[0].datatype: expected one of"),
    "a datatype that is a list": (tensor(datatype=["UINT8"]), "inputs[0].datatype: expected one of"),
    "no shape": (tensor(shape=None), "inputs[0]: shape is missing"),
    "a shape that is a number": (tensor(shape=2), "inputs[0].shape: expected a list of sizes, got 2"),
    "a negative size": (tensor(shape=[2, -1]), "inputs[0].shape[1]: expected an integer of at least 0, got -1"),
    "a size that is a fraction": (
        tensor(shape=[2.0]),
        "inputs[0].shape[0]: expected an integer of at least 0, got 2.0",
    ),
    "a size that is true": (tensor(shape=[True]), "inputs[0].shape[0]: expected an integer of at least 0, got true"),
    "sizes whose product overflows": (tensor(shape=[2**62, 2**62]), "inputs[0].shape[0]: the shape has more than"),
    "sizes that overflow beside a zero": (tensor(shape=[0, 2**40, 2**40], data=[]), "inputs[0].shape[2]: the shape"),
    "a size beyond 64 bits": (tensor(shape=[2**70]), "inputs[0].shape[0]: expected an integer"),
    "too many dimensions": (tensor(shape=[1] * 40), "inputs[0].shape: expected at most 32 dimensions"),
    "too many texts": (texts("t", [2**20], []), "inputs[0].shape: a BYTES tensor has at most 131072 elements"),
    "no data": (tensor(data=None), "inputs[0]: data is missing"),
    "data is a number": (tensor(data=3), "inputs[0].data: expected a list, got 3"),
    "data is an object": (tensor(data={}), "inputs[0].data: expected a list, got an object"),
    "too few elements": (tensor(shape=[3]), "inputs[0].data: expected 3 elements (shape [3]), got 2"),
    "too many elements": (tensor(shape=[1]), "inputs[0].data: expected 1 elements (shape [1]), got 2"),
    "elements in an empty tensor": (tensor(shape=[0]), "inputs[0].data: expected 0 elements"),
    "no element in a scalar": (tensor(shape=[], data=[]), "inputs[0].data: expected 1 elements"),
    "a short row": (
        tensor(shape=[2, 2], data=[[1, 2], [3]]),
        "inputs[0].data[1]: expected a list of 2, got a list of 1",
    ),
    "a number among rows": (tensor(shape=[2, 2], data=[[1, 2], 3]), "inputs[0].data[1]: expected a list of 2, got 3"),
    "a row too many": (tensor(shape=[1, 2], data=[[1, 2], [3, 4]]), "inputs[0].data: expected 1 elements"),
    "rows nested too deep": (
        tensor(shape=[1, 2], data=[[[1], [2]]]),
        "inputs[0].data[0][0]: expected an integer from 0 to 255, got a list of 1",
    ),
    "a short row deep inside": (
        tensor(shape=[1, 2, 2], data=[[[1, 2], [3, 4, 5]]]),
        "inputs[0].data[0][1]: expected a list of 2, got a list of 3",
    ),
    "a list where a number belongs": (tensor(data=[[1], 2]), "inputs[0].data[0]: expected an integer"),
    "300 in UINT8": (tensor(data=[1, 300]), "inputs[0].data[1]: expected an integer from 0 to 255, got 300"),
    "-1 in UINT8": (tensor(data=[-1, 3]), "inputs[0].data[0]: expected an integer from 0 to 255, got -1"),
    "300 in a nested UINT8": (
        tensor(shape=[2, 2], data=[[1, 2], [300, 4]]),
        "inputs[0].data[1][0]: expected an integer from 0 to 255, got 300",
    ),
    "a fraction in UINT8": (tensor(data=[1, 2.5]), "inputs[0].data[1]: expected an integer from 0 to 255, got 2.5"),
    "1.0 in UINT8": (tensor(data=[1.0, 2]), "inputs[0].data[0]: expected an integer"),
    "text in UINT8": (tensor(data=["1", 2]), "inputs[0].data[0]: expected an integer from 0 to 255, got '1'"),
    "true in UINT8": (tensor(data=[1, True]), "inputs[0].data[1]: expected an integer from 0 to 255, got true"),
    "null in UINT8": (tensor(data=[None, 1]), "inputs[0].data[0]: expected an integer from 0 to 255, got null"),
    "1 in BOOL": (tensor(datatype="BOOL", data=[True, 1]), "inputs[0].data[1]: expected true or false, got 1"),
    "text in FP32": (tensor(datatype="FP32", data=["a", 1]), "inputs[0].data[0]: expected a finite number, got 'a'"),
    "true in FP32": (tensor(datatype="FP32", data=[1, True]), "inputs[0].data[1]: expected a finite number, got true"),
    "1e300 in FP32": (
        tensor(datatype="FP32", data=[1, 1e300]),
        "inputs[0].data[1]: expected a finite number that FP32 can hold, got 1e+300",
    ),
    "2^64 in UINT64": (tensor(datatype="UINT64", data=[2**64, 0]), "inputs[0].data[0]: expected an integer from 0 to"),
    "FP16 in JSON": (tensor(datatype="FP16"), "inputs[0].data: FP16 has no JSON form"),
    "BF16 in JSON": (tensor(datatype="BF16"), "inputs[0].data: BF16 has no JSON form"),
    "a number in BYTES": (texts("t", [1], [1]), "inputs[0].data[0]: expected a string, got 1"),
    "no base64": (texts("image", [2], ["YWI=", "§"]), "inputs[0].data[1]: expected base64"),
    "base64 that ends early": (texts("image", [1], ["YWI"]), "inputs[0].data[0]: expected base64"),
    "base64 with a line break": (texts("mask", [1], ["YW\nI="]), "inputs[0].data[0]: expected base64"),
    "base64 in a nested list": (texts("image", [1, 1], [["*"]]), "inputs[0].data[0][0]: expected base64"),
    "shared memory": (
        tensor(parameters={"shared_memory_region": "r"}, data=None),
        "inputs[0].parameters.shared_memory_region: shared memory is not supported",
    ),
    "shared memory for an output": (
        {"inputs": [GOOD], "outputs": [{"name": "y", "parameters": {"shared_memory_byte_size": 1}}]},
        "outputs[0].parameters.shared_memory_byte_size: shared memory",
    ),
    "classification": (
        {"inputs": [GOOD], "outputs": [{"name": "y", "parameters": {"classification": 3}}]},
        "outputs[0].parameters.classification: classification is not supported",
    ),
    "binary_data of an output as text": (
        {"inputs": [GOOD], "outputs": [{"name": "y", "parameters": {"binary_data": "true"}}]},
        "outputs[0].parameters.binary_data: expected true or false, got 'true'",
    ),
    "outputs is an object": ({"inputs": [GOOD], "outputs": {}}, "outputs: expected a list, got an object"),
    "an output that is a name": ({"inputs": [GOOD], "outputs": ["y"]}, "outputs[0]: expected an object, got 'y'"),
    "an output without a name": ({"inputs": [GOOD], "outputs": [{}]}, "outputs[0].name: expected a name, got null"),
    "the same output twice": (
        {"inputs": [GOOD], "outputs": [{"name": "y"}, {"name": "y"}]},
        "outputs[1].name: the name 'y' is used twice",
    ),
    "a misspelt member of an output": (
        {"inputs": [GOOD], "outputs": [{"name": "y", "binary_data": True}]},
        "outputs[0]: unknown member 'binary_data'",
    ),
    "binary data without the header": (
        tensor(parameters={"binary_data_size": 2}, data=None),
        "inputs[0].parameters.binary_data_size: no binary data follows",
    ),
}


@pytest.mark.parametrize(("body", "place"), JSON_BODIES.values(), ids=JSON_BODIES.keys())
def test_a_malformed_json_body_is_refused_and_says_where(body, place):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidRequest) as caught:
        decode_request(raw, None, model_name="m")
    assert caught.value.message.startswith(place)
    assert caught.value.status == 400
    assert len(caught.value.message) < 400


def binary(data: bytes, /, *, datatype="UINT8", shape=(2,), size: object = "right", **more):
    entry = {"name": "x", "datatype": datatype, "shape": list(shape)}
    entry["parameters"] = {"binary_data_size": len(data) if size == "right" else size}
    head = json.dumps({"inputs": [{**entry, **more}]}).encode()
    return head + data, len(head)


def packed(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(e)) + e for e in elements)


BINARY_BODIES = {
    "the header is longer than the body": ((b"{}", 3), "Inference-Header-Content-Length: it says 3 bytes"),
    "the header cuts the JSON": ((b'{"inputs": []}', 5), "body: not valid JSON"),
    "the header says 0": ((b'{"inputs": []}', 0), "body: not valid JSON"),
    "bytes after the last tensor": (
        (binary(b"ab")[0] + b"!!", binary(b"ab")[1]),
        "body: 2 bytes are left over after the last binary tensor",
    ),
    "the data is cut": (
        (binary(b"ab")[0][:-1], binary(b"ab")[1]),
        "inputs[0].parameters.binary_data_size: it says 2 bytes, only 1 are left",
    ),
    "a size as text": (binary(b"ab", size="2"), "inputs[0].parameters.binary_data_size: expected a number of bytes"),
    "a size as a fraction": (binary(b"ab", size=2.0), "inputs[0].parameters.binary_data_size: expected a number"),
    "a negative size": (binary(b"ab", size=-2), "inputs[0].parameters.binary_data_size: expected a number of bytes"),
    "true as a size": (binary(b"a", size=True), "inputs[0].parameters.binary_data_size: expected a number of bytes"),
    "a huge size": (binary(b"ab", size=2**63), "inputs[0].parameters.binary_data_size: it says"),
    "fewer bytes than the shape": (binary(b"a"), "inputs[0], binary data: expected 2 bytes (UINT8 [2]), got 1"),
    "more bytes than the shape": (binary(b"abc"), "inputs[0], binary data: expected 2 bytes (UINT8 [2]), got 3"),
    "half a float": (binary(b"abcdef", datatype="FP32"), "inputs[0], binary data: expected 8 bytes (FP32 [2]), got 6"),
    "data and binary data": (binary(b"ab", data=[1, 2]), "inputs[0]: it has both data and parameters.binary_data_size"),
    "2 in BOOL": (binary(b"\1\2", datatype="BOOL"), "inputs[0], binary data, element 1: expected 0 or 1, got 2"),
    "a BYTES length beyond the data": (
        binary(packed(b"ab")[:-1] + b"", datatype="BYTES", shape=(1,)),
        "inputs[0], binary data, element 0: its length is 2, only 1 bytes are left",
    ),
    "a BYTES length of 4 GB": (
        binary(b"\xff\xff\xff\xff", datatype="BYTES", shape=(1,)),
        "inputs[0], binary data, element 0: its length is 4294967295, only 0 bytes are left",
    ),
    "a raw JPEG without its length": (
        binary(b"\xff\xd8\xff\xe0\x00\x10JFIF", datatype="BYTES", shape=(1,)),
        "inputs[0], binary data, element 0: its length is",
    ),
    "half a BYTES length": (
        binary(packed(b"ab") + b"\0\0", datatype="BYTES", shape=(2,)),
        "inputs[0], binary data: expected 2 elements, the data ends after 1",
    ),
    "a BYTES element too few": (
        binary(packed(b"ab"), datatype="BYTES"),
        "inputs[0], binary data: expected 2 elements, the data ends after 1",
    ),
    "a BYTES element too many": (
        binary(packed(b"ab", b"c"), datatype="BYTES", shape=(1,)),
        "inputs[0], binary data: 5 bytes are left over after 1 elements",
    ),
}


@pytest.mark.parametrize(("body", "place"), BINARY_BODIES.values(), ids=BINARY_BODIES.keys())
def test_a_malformed_binary_body_is_refused_and_says_where(body, place):
    with pytest.raises(InvalidRequest) as caught:
        decode_request(body[0], body[1], model_name="m")
    assert caught.value.message.startswith(place)


@pytest.mark.parametrize("value", ["", "12a", "1.0", "-1", "+1", "1e2", "0x10", "١٢", "9" * 30, b"\xff", "1,1"])
def test_a_header_length_that_is_no_number_is_refused(value):
    with pytest.raises(InvalidRequest, match=r"^Inference-Header-Content-Length: expected a number of bytes"):
        header_length_of(value)


def test_the_header_length_is_read_as_http_gives_it():
    assert [header_length_of(v) for v in (None, "12", b"12", " 7 ")] == [None, 12, 12, 7]


def test_v2s_and_tritons_own_parameters_pass():
    body = {
        "id": None,
        "parameters": {"timeout": 5, "priority": 1, "sequence_id": "a", "sequence_start": True, "headers": "x"},
        "inputs": [{**GOOD, "parameters": {"content_type": "np"}}],
        "outputs": None,
    }
    request = decode_request(json.dumps(body).encode())
    assert request.parameters["timeout"] == 5
    assert request.inputs[0].parameters == {"content_type": "np"}
    assert request.named_outputs is None


@pytest.mark.parametrize(
    ("output", "place"),
    [
        (Tensor.from_array("x", np.array([1, np.nan], "f4")), "outputs[0]: NaN and infinity have no JSON form"),
        (Tensor.from_array("x", np.array([np.inf], "f8")), "outputs[0]: NaN and infinity have no JSON form"),
        (Tensor.from_array("x", np.zeros(1, "f2")), "outputs[0]: FP16 has no JSON form"),
        (Tensor.from_bytes("t", [b"ok", b"\xff"]), "outputs[0].data[1]: bytes that are not UTF-8 have no JSON form"),
    ],
)
def test_an_output_without_a_json_form_is_refused_rather_than_changed(output, place):
    with pytest.raises(InvalidRequest) as caught:
        encode_response(InferResponse("m", (output,)), InferRequest("m", ()))
    assert caught.value.message.startswith(place)
    encode_response(InferResponse("m", (output,)), InferRequest("m", (), answer="binary"))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bodies_are_refused_or_read_but_never_crash(data):
    request = InferRequest(
        "m",
        (Tensor.from_bytes("image", [b"jpeg", b""]), Tensor.from_array("p", np.arange(4, dtype="f4").reshape(2, 2))),
        (RequestedOutput("box", {"binary_data": True}),),
        {"conf_threshold": 0.5},
    )
    buffers, headers = encode_request(request, binary=data.draw(st.booleans()))
    body = bytearray(b"".join(buffers))
    length = header_length_of(headers.get("inference-header-content-length"))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not body:
            break
    for decode in (decode_request, decode_response):
        with contextlib.suppress(InvalidRequest):
            decode(body, length)
