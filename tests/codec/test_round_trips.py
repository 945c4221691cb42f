"""What one side writes the other reads back: any tensor, over JSON, REST's binary extension and gRPC, raw and typed."""

from __future__ import annotations

from dataclasses import replace

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
    grpc_messages,
    header_length_of,
)
from tests.codec.tensors import (
    NAMES,
    PARAMETERS,
    assert_same_request,
    assert_same_response,
    bytes_tensors,
    numeric_tensors,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(str.encode)
ANY_TENSOR = numeric_tensors() | bytes_tensors()
JSON_TENSOR = (
    numeric_tensors(finite=True)
    | bytes_tensors(elements=TEXTS, names=NAMES.filter(lambda n: n not in ("image", "mask")))
    | bytes_tensors(names=st.sampled_from(["image", "mask"]))
)
MANY = settings(max_examples=150, deadline=None)


def requests(tensor):
    return st.builds(
        InferRequest,
        model_name=NAMES,
        inputs=st.lists(tensor, min_size=1, max_size=3, unique_by=lambda t: t.name).map(tuple),
        outputs=st.lists(
            st.builds(RequestedOutput, NAMES, st.dictionaries(st.just("binary_data"), st.booleans())),
            max_size=2,
            unique_by=lambda o: o.name,
        ).map(tuple),
        parameters=PARAMETERS,
        id=NAMES | st.just(""),
        answer=st.sampled_from(["json", "binary"]),
    )


def responses(tensor):
    return st.builds(
        InferResponse,
        model_name=NAMES,
        outputs=st.lists(tensor, max_size=3, unique_by=lambda t: t.name).map(tuple),
        parameters=PARAMETERS,
        model_version=NAMES | st.just(""),
        id=NAMES | st.just(""),
    )


@MANY
@given(requests(ANY_TENSOR))
def test_binary_requests_come_back(request):
    buffers, headers = encode_request(request)
    body = b"".join(buffers)
    assert int(headers["content-length"]) == len(body)
    length = header_length_of(headers["inference-header-content-length"])
    assert_same_request(decode_request(body, length, model_name=request.model_name), request)


@MANY
@given(requests(JSON_TENSOR))
def test_json_requests_come_back(request):
    buffers, headers = encode_request(request, binary=False)
    assert headers["content-type"] == "application/json"
    assert_same_request(decode_request(b"".join(buffers), None, model_name=request.model_name), request)


@MANY
@given(responses(ANY_TENSOR))
def test_binary_responses_come_back(response):
    asked = InferRequest(response.model_name, (), answer="binary")
    buffers, headers = encode_response(response, asked)
    length = header_length_of(headers.get("inference-header-content-length"))
    assert_same_response(decode_response(b"".join(buffers), length), response)


@MANY
@given(responses(JSON_TENSOR))
def test_json_responses_come_back(response):
    buffers, _ = encode_response(response, InferRequest(response.model_name, ()))
    assert_same_response(decode_response(b"".join(buffers)), response)


@MANY
@given(requests(ANY_TENSOR))
def test_raw_grpc_requests_come_back(request):
    wanted = replace(request, answer="binary")
    assert_same_request(grpc_messages.decode_request(grpc_messages.encode_request(wanted)), wanted)


@MANY
@given(requests(JSON_TENSOR))
def test_typed_grpc_requests_come_back(request):
    wanted = replace(request, answer="contents")
    assert_same_request(grpc_messages.decode_request(grpc_messages.encode_request(wanted, typed=True)), wanted)


@MANY
@given(responses(ANY_TENSOR), st.sampled_from(["binary", "contents"]))
def test_grpc_responses_come_back(response, answer):
    raw = grpc_messages.encode_response(response, InferRequest("m", (), answer=answer))
    assert_same_response(grpc_messages.decode_response(raw), response)


def test_each_output_comes_as_it_was_asked_for():
    response = InferResponse("m", (Tensor.from_array("score", np.ones(2, "f4")), Tensor.from_bytes("labels", ["a"])))
    named = (RequestedOutput("score", {"binary_data": True}), RequestedOutput("labels"))
    buffers, headers = encode_response(response, InferRequest("m", (), named))
    assert headers["content-type"] == "application/octet-stream"
    length = int(headers["inference-header-content-length"])
    body = b"".join(buffers)
    assert b'"data":["a"]' in body[:length]
    assert body[length:] == np.ones(2, "<f4").tobytes()

    buffers, _ = encode_response(
        response, InferRequest("m", (), (RequestedOutput("score", {"binary_data": False}),), answer="binary")
    )
    assert b'"data":[1.0,1.0]' in b"".join(buffers)


def test_the_image_is_never_copied():
    image = np.arange(4 * 1080 * 1920 * 3 // 4, dtype=np.uint32).view(np.uint8)[: 1080 * 1920 * 3]
    tensor = Tensor.from_array("image", image.reshape(1, 1080, 1920, 3))
    jpegs = Tensor.from_bytes("mask", [image.tobytes(), b"", b"x"])
    request = InferRequest("m", (tensor, jpegs))

    buffers, headers = encode_request(request)
    assert any(np.shares_memory(np.frombuffer(b, np.uint8), image) for b in buffers)
    assert any(b is jpegs.data[0] for b in buffers)

    body = b"".join(buffers)
    decoded = decode_request(body, int(headers["inference-header-content-length"]))
    assert np.shares_memory(decoded.inputs[0].array, np.frombuffer(body, np.uint8))
    assert decoded.inputs[1].elements[0].obj is body

    raw = grpc_messages.encode_request(request)
    decoded = grpc_messages.decode_request(raw)
    assert np.shares_memory(decoded.inputs[0].array, np.frombuffer(raw, np.uint8))
    assert decoded.inputs[1].elements[0].obj is raw


@pytest.mark.parametrize("body_type", [bytes, bytearray, memoryview])
def test_what_was_decoded_cannot_be_written_to(body_type):
    buffers, headers = encode_request(InferRequest("m", (Tensor.from_array("x", np.zeros(3, np.uint8)),)))
    decoded = decode_request(body_type(b"".join(buffers)), int(headers["inference-header-content-length"]))
    with pytest.raises(ValueError, match="read-only"):
        decoded.inputs[0].array[0] = 1


def test_numbers_are_handed_out_aligned_wherever_they_lie():
    inputs = (Tensor.from_bytes("text", [b"abc"]), Tensor.from_array("x", np.arange(3, dtype=np.float64)))
    buffers, headers = encode_request(InferRequest("m", inputs))
    decoded = decode_request(b"".join(buffers), int(headers["inference-header-content-length"]))
    assert decoded.inputs[1].array.flags.aligned
    np.testing.assert_array_equal(decoded.inputs[1].array, inputs[1].array)


def test_arrays_of_any_layout_are_written_row_major_and_little_endian():
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    buffers, headers = encode_request(InferRequest("m", (Tensor.from_array("x", array),)))
    decoded = decode_request(b"".join(buffers), int(headers["inference-header-content-length"]))
    np.testing.assert_array_equal(decoded.inputs[0].array, array)
    buffers, _ = encode_request(InferRequest("m", (Tensor.from_array("x", array),)), binary=False)
    np.testing.assert_array_equal(decode_request(b"".join(buffers)).inputs[0].array, array)


def test_bf16_is_rounded_to_the_nearest():
    values = np.array([1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8, np.nan, -np.inf], np.float32)
    raw = grpc_messages.encode_request(InferRequest("m", (Tensor("x", "BF16", (5,), values),)))
    np.testing.assert_array_equal(
        grpc_messages.decode_request(raw).inputs[0].array, [1.0, 1.0, 1.0 + 2**-6, np.nan, -np.inf]
    )


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "message"),
    [
        ("FP32", (2,), np.zeros(3, np.float32), "expected float32 [2], got float32 [3]"),
        ("FP32", (3,), np.zeros(3, np.float64), "expected float32 [3], got float64 [3]"),
        ("BYTES", (2,), [b"a"], "1 elements do not fill shape (2,)"),
        ("BYTES", (1,), np.zeros(1, "S1"), "a flat sequence of bytes"),
        ("COMPLEX", (1,), np.zeros(1), "V2 has no datatype 'COMPLEX'"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(datatype, shape, data, message):
    with pytest.raises(ValueError) as caught:
        Tensor("x", datatype, shape, data)
    assert message in str(caught.value)
