"""V2 over gRPC: ModelInfer's messages as bytes, in both directions.

Raw contents are slices of the message on the way in and are copied once on the way out; protobuf itself only sees
what is small. Typed contents are read and written too. Everything malformed is an InvalidRequest (INVALID_ARGUMENT)
whose text begins with the place. Source: the Open Inference Protocol's gRPC API (inference.proto).
"""

from __future__ import annotations

from typing import Any

from kelp.codec.binary import buffers_of, tensor_from
from kelp.codec.datatypes import datatype_named
from kelp.codec.fail import fail, refuse
from kelp.codec.grpc_contents import fill_contents, tensor_from_contents
from kelp.codec.grpc_parameters import fill_parameters, read_parameters
from kelp.codec.grpc_pool import METHODS, parse
from kelp.codec.grpc_wire import join_repeated_bytes, split_repeated_bytes
from kelp.codec.limits import MAX_TENSORS
from kelp.codec.messages import InferRequest, InferResponse, RequestedOutput
from kelp.codec.shapes import checked_name, checked_shape
from kelp.codec.tensor import Buffer, Tensor

ModelInferRequest, ModelInferResponse = METHODS["ModelInfer"]
_RAW_INPUTS, _RAW_OUTPUTS = 7, 6
# REST's own; they mean nothing here, and KServe's gRPC client sends them all the same.
_OF_REST = ("binary_data_size", "binary_data_output")


def decode_request(raw: Buffer) -> InferRequest:
    """The request in a serialized ModelInferRequest. Raw tensors are views of `raw`, which must not change."""
    head, contents = split_repeated_bytes(raw, _RAW_INPUTS)
    message = parse(ModelInferRequest, head)
    if not message.model_name:
        raise refuse("model_name", "it is missing")
    if not message.inputs:
        raise fail("inputs", "at least one tensor")
    inputs = _tensors(message.inputs, contents, "inputs", "raw_input_contents")
    if len(message.outputs) > MAX_TENSORS:
        raise fail("outputs", f"at most {MAX_TENSORS} outputs")
    seen: set[str] = set()
    outputs = tuple(
        RequestedOutput(
            checked_name(output.name, f"outputs[{index}].name", seen),
            read_parameters(output.parameters, f"outputs[{index}].parameters", of_output=True),
        )
        for index, output in enumerate(message.outputs)
    )
    return InferRequest(
        model_name=message.model_name,
        inputs=inputs,
        outputs=outputs,
        parameters=_without_rest(read_parameters(message.parameters, "parameters")),
        model_version=message.model_version,
        id=message.id,
        answer="binary" if contents else "contents",
    )


def encode_request(request: InferRequest, *, typed: bool = False) -> bytes:
    """A serialized ModelInferRequest; its tensors as raw contents, or `typed` as typed contents."""
    message = ModelInferRequest(model_name=request.model_name, model_version=request.model_version, id=request.id)
    fill_parameters(message.parameters, request.parameters, "parameters")
    for index, output in enumerate(request.outputs):
        fill_parameters(
            message.outputs.add(name=output.name).parameters, output.parameters, f"outputs[{index}].parameters"
        )
    return _serialized(message, message.inputs, request.inputs, "inputs", _RAW_INPUTS, typed)


def decode_response(raw: Buffer) -> InferResponse:
    """The response in a serialized ModelInferResponse, typed or raw. Raw tensors are views of `raw`."""
    head, contents = split_repeated_bytes(raw, _RAW_OUTPUTS)
    message = parse(ModelInferResponse, head)
    return InferResponse(
        model_name=message.model_name,
        outputs=_tensors(message.outputs, contents, "outputs", "raw_output_contents"),
        parameters=read_parameters(message.parameters, "parameters"),
        model_version=message.model_version,
        id=message.id,
    )


def encode_response(response: InferResponse, request: InferRequest) -> bytes:
    """A serialized ModelInferResponse, raw as Triton answers, or typed where the request was (as KServe answers).

    Tensors that have no typed form (FP16, BF16) make the whole answer raw.
    """
    message = ModelInferResponse(model_name=response.model_name, model_version=response.model_version, id=response.id)
    fill_parameters(message.parameters, response.parameters, "parameters")
    typed = request.answer == "contents" and all(datatype_named(o.datatype, "").contents for o in response.outputs)
    return _serialized(message, message.outputs, response.outputs, "outputs", _RAW_OUTPUTS, typed)


def _tensors(described: Any, contents: list[memoryview], key: str, raw_key: str) -> tuple[Tensor, ...]:
    if len(described) > MAX_TENSORS:
        raise fail(key, f"at most {MAX_TENSORS} tensors")
    if contents and len(contents) != len(described):
        raise refuse(raw_key, f"expected {len(described)} elements, one for each of {key}, got {len(contents)}")
    seen: set[str] = set()
    tensors = []
    for index, item in enumerate(described):
        where = f"{key}[{index}]"
        name = checked_name(item.name, f"{where}.name", seen)
        kind = datatype_named(item.datatype, f"{where}.datatype")
        shape, count = checked_shape(item.shape, kind, f"{where}.shape")
        parameters = _without_rest(read_parameters(item.parameters, f"{where}.parameters"))
        if not contents:
            tensors.append(tensor_from_contents(item.contents, name, kind, shape, count, where, parameters))
            continue
        if item.HasField("contents") and item.contents.ListFields():
            raise refuse(f"{where}.contents", f"it must be empty where {raw_key} are given")
        tensors.append(tensor_from(contents[index], name, kind, shape, count, f"{raw_key}[{index}]", parameters))
    return tuple(tensors)


def _serialized(
    message: Any, described: Any, tensors: tuple[Tensor, ...], key: str, raw_field: int, typed: bool
) -> bytes:
    for index, tensor in enumerate(tensors):
        item = described.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        fill_parameters(item.parameters, tensor.parameters, f"{key}[{index}].parameters")
        if typed:
            fill_contents(item.contents, tensor, f"{key}[{index}]")
    head: bytes = message.SerializeToString()
    return head if typed else join_repeated_bytes(head, raw_field, [buffers_of(tensor)[0] for tensor in tensors])


def _without_rest(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in _OF_REST}
