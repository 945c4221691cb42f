"""Run as a script: kserve's own encoders and decoders against the codec, in one process with it."""

from __future__ import annotations

import numpy as np
import orjson
from kserve import InferInput, InferRequest, InferResponse
from kserve.protocol.grpc import grpc_predict_v2_pb2 as theirs
from kserve.protocol.infer_type import RequestedOutput

from kelp.codec import InferResponse as OurResponse
from kelp.codec import decode_request, encode_request, encode_response, grpc_messages, header_length_of
from kelp.codec.grpc_pool import METHODS

IMAGE = np.random.default_rng(1).integers(0, 256, (1, 30, 40, 3), np.uint8)
FILES = np.array([b"\xff\xd8\xff\x00", b"", b"abc"], object)
POINTS = np.arange(6, dtype=np.float32).reshape(1, 3, 2)


def request(binary: bool) -> InferRequest:
    found = []
    for name, array, datatype in (("pixels", IMAGE, "UINT8"), ("files", FILES, "BYTES"), ("points", POINTS, "FP32")):
        if name == "files" and not binary:
            array = np.array([b"a", b"", "ä".encode()], object)
        one = InferInput(name, list(array.shape), datatype)
        one.set_data_from_numpy(array, binary_data=binary)
        found.append(one)
    return InferRequest(
        "m", found, request_id="7", parameters={"max_detections": 3}, request_outputs=[RequestedOutput("points")]
    )


def check_binary(ours) -> None:
    assert (ours.model_name, ours.id, dict(ours.parameters)) == ("m", "7", {"max_detections": 3})
    assert ours.named_outputs == {"points"}
    np.testing.assert_array_equal(ours.inputs_by_name["pixels"].array, IMAGE)
    assert [bytes(e) for e in ours.inputs_by_name["files"].elements] == list(FILES)
    np.testing.assert_array_equal(ours.inputs_by_name["points"].array, POINTS)


def over_rest() -> None:
    body, length = request(binary=True).to_rest()
    ours = decode_request(body, length, model_name="m")
    check_binary(ours)
    buffers, headers = encode_response(OurResponse("m", ours.inputs[::2], id="7"), ours)
    assert headers["content-type"] == "application/json"
    back = InferResponse.from_rest(orjson.loads(b"".join(buffers)))
    np.testing.assert_array_equal(back.outputs[0].as_numpy(), IMAGE)
    np.testing.assert_array_equal(back.outputs[1].as_numpy(), POINTS)

    body, length = request(binary=False).to_rest()
    assert length is None
    ours = decode_request(orjson.dumps(body))
    np.testing.assert_array_equal(ours.inputs_by_name["pixels"].array, IMAGE)
    assert ours.inputs_by_name["files"].texts() == ["a", "", "ä"]

    # What we write with the binary extension, read by kserve (which has no decoder for binary files in it).
    buffers, headers = encode_request(ours)
    length = header_length_of(headers["inference-header-content-length"])
    back = InferRequest.from_bytes(b"".join(buffers), length, "m")
    np.testing.assert_array_equal(back.inputs[0].as_numpy(), IMAGE)


def over_grpc() -> None:
    ours = grpc_messages.decode_request(request(binary=True).to_grpc().SerializeToString())
    check_binary(ours)
    raw = grpc_messages.encode_response(OurResponse("m", ours.inputs, id="7"), ours)
    back = InferResponse.from_grpc(theirs.ModelInferResponse.FromString(raw))
    np.testing.assert_array_equal(back.outputs[0].as_numpy(), IMAGE)
    assert list(back.outputs[1].as_numpy()) == list(FILES)

    ours = grpc_messages.decode_request(request(binary=False).to_grpc().SerializeToString())
    assert ours.answer == "contents"
    np.testing.assert_array_equal(ours.inputs_by_name["points"].array, POINTS)
    raw = grpc_messages.encode_response(OurResponse("m", ours.inputs), ours)
    back = InferResponse.from_grpc(theirs.ModelInferResponse.FromString(raw))
    np.testing.assert_array_equal(back.outputs[2].as_numpy(), POINTS)

    back = InferRequest.from_grpc(theirs.ModelInferRequest.FromString(grpc_messages.encode_request(ours)))
    np.testing.assert_array_equal(back.inputs[0].as_numpy(), IMAGE)


def the_other_calls() -> None:
    for name, (asked, answered) in METHODS.items():
        if name == "RepositoryIndex":
            continue  # kserve has none
        for kind in (asked, answered):
            other = getattr(theirs, kind.DESCRIPTOR.name)
            for field in other.DESCRIPTOR.fields:
                if name.startswith("Repository") and kind is asked:
                    continue  # read by repository_model_name
                mine = kind.DESCRIPTOR.fields_by_name[field.name]
                assert (mine.number, mine.type, mine.is_repeated) == (field.number, field.type, field.is_repeated)


over_rest()
over_grpc()
the_other_calls()
