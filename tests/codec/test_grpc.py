"""gRPC's messages: what is malformed is refused with its place, and the model's name is read alone."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.codec import InferRequest, InferResponse, Tensor
from kelp.codec.grpc_descriptor import DESCRIPTOR
from kelp.codec.grpc_messages import (
    ModelInferRequest,
    ModelInferResponse,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from kelp.codec.grpc_metadata import metadata_message, metadata_of
from kelp.codec.grpc_pool import METHODS, parse, path_of, repository_model_name
from kelp.codec.grpc_wire import model_name_of
from kelp.errors import InvalidRequest
from tests.codec.make_descriptor import compiled


def message(**changes):
    """A request with one UINT8 input of two elements, changed."""
    entry = {"name": "x", "datatype": "UINT8", "shape": [2], **changes.pop("input", {})}
    return ModelInferRequest(**{"model_name": "m", "inputs": [entry], **changes})


def typed(datatype, shape, **contents):
    return message(input={"datatype": datatype, "shape": shape, "contents": contents})


def parameter(name, **choice):
    return {name: choice}


MALFORMED = {
    "no model": (message(model_name="", raw_input_contents=[b"ab"]), "model_name: it is missing"),
    "no inputs": (ModelInferRequest(model_name="m"), "inputs: expected at least one tensor"),
    "too many inputs": (
        ModelInferRequest(model_name="m", inputs=[{"name": str(i)} for i in range(300)]),
        "inputs: expected at most 256 tensors",
    ),
    "no name": (message(input={"name": ""}, raw_input_contents=[b"ab"]), "inputs[0].name: expected a name"),
    "the same name twice": (
        ModelInferRequest(
            model_name="m",
            inputs=[{"name": "x", "datatype": "UINT8", "shape": [1]}] * 2,
            raw_input_contents=[b"a", b"b"],
        ),
        "inputs[1].name: the name 'x' is used twice",
    ),
    "an unknown datatype": (message(input={"datatype": "FLOAT"}), "inputs[0].datatype: expected one of"),
    "a negative size": (
        message(input={"shape": [-2]}),
        "inputs[0].shape[0]: expected an integer of at least 0, got -2",
    ),
    "sizes that overflow": (message(input={"shape": [2**62, 2**62]}), "inputs[0].shape[0]: the shape has more than"),
    "too many dimensions": (message(input={"shape": [1] * 40}), "inputs[0].shape: expected at most 32 dimensions"),
    "raw data too short": (
        message(raw_input_contents=[b"a"]),
        "raw_input_contents[0]: expected 2 bytes (UINT8 [2]), got 1",
    ),
    "raw data too long": (message(raw_input_contents=[b"abc"]), "raw_input_contents[0]: expected 2 bytes"),
    "raw data for nothing": (message(raw_input_contents=[b"ab", b"c"]), "raw_input_contents: expected 1 elements"),
    "raw and typed data": (
        message(input={"contents": {"uint_contents": [1, 2]}}, raw_input_contents=[b"ab"]),
        "inputs[0].contents: it must be empty where raw_input_contents are given",
    ),
    "BYTES without lengths": (
        message(input={"datatype": "BYTES", "shape": [1]}, raw_input_contents=[b"\xff\xd8\xff\xe0"]),
        "raw_input_contents[0], element 0: its length is",
    ),
    "no data": (message(), "inputs[0].contents.uint_contents: expected 2 elements (shape [2]), got 0"),
    "too few typed": (typed("INT32", [2], int_contents=[1]), "inputs[0].contents.int_contents: expected 2 elements"),
    "300 in UINT8": (
        typed("UINT8", [2], uint_contents=[1, 300]),
        "inputs[0].contents.uint_contents[1]: expected an integer from 0 to 255, got 300",
    ),
    "200 in INT8": (
        typed("INT8", [1], int_contents=[200]),
        "inputs[0].contents.int_contents[0]: expected an integer from -128 to 127, got 200",
    ),
    "the wrong field": (
        typed("UINT8", [1], fp32_contents=[1.0]),
        "inputs[0].contents.fp32_contents: UINT8 expects uint_contents",
    ),
    "two fields": (
        typed("UINT8", [1], uint_contents=[1], bool_contents=[True]),
        "inputs[0].contents.bool_contents: UINT8 expects uint_contents",
    ),
    "FP16 typed": (
        typed("FP16", [1], fp32_contents=[1.0]),
        "inputs[0].contents.fp32_contents: FP16 expects raw contents",
    ),
    "FP16 with nothing": (typed("FP16", [1]), "inputs[0].contents: FP16 has no typed form"),
    "an empty parameter": (
        message(parameters={"a": {}}, raw_input_contents=[b"ab"]),
        "parameters.a: expected a string, a number or a boolean",
    ),
    "too many parameters": (
        message(parameters={str(i): {"bool_param": True} for i in range(300)}, raw_input_contents=[b"ab"]),
        "parameters: expected at most 256 parameters",
    ),
    "shared memory": (
        message(input={"parameters": {"shared_memory_region": {"string_param": "r"}}}),
        "inputs[0].parameters.shared_memory_region: shared memory is not supported",
    ),
    "classification": (
        message(
            raw_input_contents=[b"ab"],
            outputs=[{"name": "y", "parameters": {"classification": {"int64_param": 3}}}],
        ),
        "outputs[0].parameters.classification: classification is not supported",
    ),
    "the same output twice": (
        message(raw_input_contents=[b"ab"], outputs=[{"name": "y"}, {"name": "y"}]),
        "outputs[1].name: the name 'y' is used twice",
    ),
}


@pytest.mark.parametrize(("request_", "place"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_refused_and_says_where(request_, place):
    with pytest.raises(InvalidRequest) as caught:
        decode_request(request_.SerializeToString())
    assert caught.value.message.startswith(place)


WIRE = {
    "a field that ends after the message": (b"\x0a\x05ab", "field 1 ends 3 bytes after the message"),
    "a number that does not end": (b"\x0a" + b"\xff" * 12, "a number does not end"),
    "a number beyond 64 bits": (b"\x08" + b"\xff" * 9 + b"\x7f", "a number does not end"),
    "a tag alone": (b"\x0a", "a number does not end"),
    "field 0": (b"\x02\x00", "there is no field 0"),
    "a group": (b"\x0b\x0c", "wire type 3 is not proto3's"),
    "more fields than any request has": (b"\x10\x01" * 5000, "more than 4096 fields"),
    "JSON": (b'{"model_name": "m"}', "not valid protobuf"),
}


@pytest.mark.parametrize(("raw", "reason"), WIRE.values(), ids=WIRE.keys())
def test_bytes_that_are_no_message_are_refused(raw, reason):
    for read in (decode_request, model_name_of):
        with pytest.raises(InvalidRequest, match=reason):
            read(raw)


def test_a_text_that_is_not_utf8_is_refused():
    raw = message(raw_input_contents=[b"ab"]).SerializeToString().replace(b"\x0a\x01x", b"\x0a\x01\xff")
    with pytest.raises(InvalidRequest, match=r"not a valid inference\.ModelInferRequest"):
        decode_request(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "it is missing"),
        (b"\x0a\x00", "it is missing"),
        (b"\x08\x01", "expected a string"),
        (b"\x0a\x01a\x0a\x01b", "it is given twice"),
        (b"\x0a\x01\xff", "expected UTF-8"),
    ],
)
def test_a_model_name_that_cannot_be_trusted_is_refused(raw, reason):
    with pytest.raises(InvalidRequest, match=f"^model_name: {reason}"):
        model_name_of(raw)


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1).filter(lambda t: t.isprintable()), st.binary(max_size=300), st.booleans())
def test_the_model_name_is_found_wherever_it_stands(name, data, first):
    tensor = Tensor.from_bytes("image", [data])
    raw = encode_request(InferRequest(name, (tensor,), parameters={"a": 1.5}))
    if not first:
        size = len(ModelInferRequest(model_name=name).SerializeToString())
        raw = raw[size:] + raw[:size]
    assert model_name_of(raw) == name
    assert model_name_of(METHODS["ModelReady"][0](name=name, version="1").SerializeToString()) == name


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_messages_are_refused_or_read_but_never_crash(data):
    request = InferRequest(
        "m", (Tensor.from_bytes("image", [b"jpeg", b""]), Tensor.from_array("p", np.arange(4, dtype="f4")))
    )
    body = bytearray(encode_request(request, typed=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(body) - 1, 0)))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    for read in (decode_request, decode_response, model_name_of):
        with contextlib.suppress(InvalidRequest):
            read(body)


def test_an_answer_is_typed_where_the_request_was_and_raw_where_it_must_be():
    response = InferResponse("m", (Tensor.from_array("x", np.arange(2, dtype="i4")), Tensor.from_bytes("t", ["a"])))
    asked = InferRequest("m", (), answer="contents")
    answer = ModelInferResponse.FromString(encode_response(response, asked))
    assert list(answer.outputs[0].contents.int_contents) == [0, 1]
    assert not answer.raw_output_contents

    half = InferResponse("m", (*response.outputs, Tensor.from_array("h", np.zeros(1, "f2"))))
    answer = ModelInferResponse.FromString(encode_response(half, asked))
    assert list(answer.raw_output_contents) == [b"\0\0\0\0\1\0\0\0", b"\1\0\0\0a", b"\0\0"]


def test_golden_request():
    """The bytes that protobuf itself writes for this message, field by field."""
    raw = encode_request(InferRequest("m", (Tensor.from_bytes("image", [b"ab", b""]),)))
    assert raw == b"\x0a\x01m\x2a\x11\x0a\x05image\x12\x05BYTES\x1a\x01\x02\x3a\x0a\x02\0\0\0ab\0\0\0\0"


@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload"])
def test_the_model_to_load_is_found_in_kserves_and_in_tritons_request(method):
    kind = METHODS[method][0]
    assert repository_model_name(parse(kind, b"\x0a\x01m")) == "m"  # KServe's: field 1
    assert repository_model_name(parse(kind, b"\x12\x01m")) == "m"  # Triton's: field 2
    with pytest.raises(InvalidRequest, match=r"^model_name: it is missing"):
        repository_model_name(kind())


def test_metadata_is_the_same_over_grpc_as_over_rest():
    metadata = {
        "name": "m",
        "versions": ["1"],
        "platform": "kelp_yolo",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [],
        "parameters": {"card": {"title": "Córal", "labels": [{"name": "a"}]}, "note": "plain", "list": [1, 2]},
    }
    assert metadata_of(parse(METHODS["ModelMetadata"][1], metadata_message(metadata).SerializeToString())) == metadata


def test_the_checked_in_descriptor_is_that_of_the_proto_file():
    pytest.importorskip("grpc_tools")
    assert FileDescriptorProto.FromString(DESCRIPTOR) == FileDescriptorProto.FromString(compiled()), (
        "run: python tests/codec/make_descriptor.py"
    )


def test_paths_are_kserves_and_tritons():
    assert path_of("ModelInfer") == "/inference.GRPCInferenceService/ModelInfer"
    assert {"ServerLive", "ModelMetadata", "RepositoryIndex", "RepositoryModelUnload"} < set(METHODS)
