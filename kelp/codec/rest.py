"""V2 over REST: JSON, and JSON followed by binary tensors, in both directions.

`decode_*` takes a whole body and gives tensors that are views of it; `encode_*` gives buffers to be written one after
another, large tensors uncopied, and the headers that go with them. Everything malformed is an InvalidRequest (400)
whose text begins with the place. Source: the Open Inference Protocol's REST API, and Triton's "Binary Tensor Data
Extension".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from kelp.codec.binary import buffers_of, gather
from kelp.codec.fail import fail, refuse
from kelp.codec.json_tensors import containers_in, json_data
from kelp.codec.limits import MAX_JSON_CONTAINERS, MAX_TENSORS
from kelp.codec.messages import InferRequest, InferResponse, RequestedOutput
from kelp.codec.parameters import checked_parameters
from kelp.codec.rest_tensors import BinaryPart, members, read_tensors, text_member
from kelp.codec.shapes import checked_name
from kelp.codec.tensor import Buffer, Parameters, Tensor

HEADER_LENGTH = "inference-header-content-length"
"""The header that gives the length of the JSON, where binary tensors follow it."""

JSON_TYPE = "application/json"
BINARY_TYPE = "application/octet-stream"
# Tensors that follow the JSON begin where numbers of 8 bytes lie aligned: blanks after the JSON see to it.
_ALIGNMENT = 8


def header_length_of(value: str | bytes | None) -> int | None:
    """The header's value as a number; None where the header is missing. InvalidRequest unless it is plain digits."""
    if value is None:
        return None
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise fail("Inference-Header-Content-Length", "a number of bytes", text)
    return int(text)


def decode_request(
    body: Buffer, header_length: int | None = None, *, model_name: str = "", model_version: str = ""
) -> InferRequest:
    """The request in `body`; `header_length` as the header gives it, None where there is none.

    `model_name` and `model_version` are the path's; a body that names another model is refused. Tensors are views of
    `body`, which must not change while they live.
    """
    message, rest = _split(body, header_length)
    given = members(message, "body", {"id", "model_name", "model_version", "parameters", "inputs", "outputs"})
    named = text_member(given, "model_name", "")
    if named and model_name and named != model_name:
        raise refuse("model_name", f"the path names {model_name!r}, the body {named[:60]!r}")
    inputs = read_tensors(given, "inputs", rest, strict=True)
    rest.finish()
    parameters = dict(checked_parameters(given.get("parameters"), "parameters"))
    binary = parameters.pop("binary_data_output", False)
    if not isinstance(binary, bool):
        raise fail("parameters.binary_data_output", "true or false", binary)
    return InferRequest(
        model_name=model_name or named,
        inputs=inputs,
        outputs=_requested(given.get("outputs")),
        parameters=parameters,
        model_version=model_version or text_member(given, "model_version", ""),
        id=text_member(given, "id", ""),
        answer="binary" if binary else "json",
    )


def encode_request(request: InferRequest, *, binary: bool = True) -> tuple[list[Buffer], dict[str, str]]:
    """Body and headers of a request; `binary=False` writes its tensors as JSON lists."""
    parameters = dict(request.parameters)
    if request.answer == "binary":
        parameters["binary_data_output"] = True
    message: dict[str, Any] = {"id": request.id} if request.id else {}
    if parameters:
        message["parameters"] = parameters
    if request.outputs:
        message["outputs"] = [
            {"name": o.name, "parameters": dict(o.parameters)} if o.parameters else {"name": o.name}
            for o in request.outputs
        ]
    return _encode(message, "inputs", request.inputs, [binary] * len(request.inputs))


def decode_response(body: Buffer, header_length: int | None = None) -> InferResponse:
    """The response in `body`; members that V2 does not know are ignored."""
    message, rest = _split(body, header_length)
    given = members(message, "body", None)
    outputs = read_tensors(given, "outputs", rest, strict=False)
    rest.finish()
    return InferResponse(
        model_name=text_member(given, "model_name", ""),
        outputs=outputs,
        parameters=checked_parameters(given.get("parameters"), "parameters"),
        model_version=text_member(given, "model_version", ""),
        id=text_member(given, "id", ""),
    )


def encode_response(response: InferResponse, request: InferRequest) -> tuple[list[Buffer], dict[str, str]]:
    """Body and headers of the answer to `request`, each output as it asked: bytes or lists."""
    message: dict[str, Any] = {"model_name": response.model_name}
    if response.model_version:
        message["model_version"] = response.model_version
    if response.id:
        message["id"] = response.id
    if response.parameters:
        message["parameters"] = dict(response.parameters)
    return _encode(message, "outputs", response.outputs, [request.wants_binary(o.name) for o in response.outputs])


def _split(body: Buffer, header_length: int | None) -> tuple[object, BinaryPart]:
    view = memoryview(body).cast("B")
    if header_length is None:
        return _json(view), BinaryPart(view[len(view) :], present=False)
    if header_length > len(view):
        raise refuse(
            "Inference-Header-Content-Length", f"it says {header_length} bytes of JSON, the body has {len(view)}"
        )
    return _json(view[:header_length]), BinaryPart(view[header_length:], present=True)


def _json(view: memoryview) -> object:
    if len(view) > MAX_JSON_CONTAINERS and containers_in(view) > MAX_JSON_CONTAINERS:
        raise refuse("body", f"the JSON has more than {MAX_JSON_CONTAINERS} lists and objects")
    try:
        return orjson.loads(view)
    except orjson.JSONDecodeError as error:
        raise refuse("body", f"not valid JSON: {error}") from error


def _requested(value: object) -> tuple[RequestedOutput, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise fail("outputs", "a list", value)
    if len(value) > MAX_TENSORS:
        raise fail("outputs", f"at most {MAX_TENSORS} outputs", value)
    seen: set[str] = set()
    requested = []
    for index, item in enumerate(value):
        where = f"outputs[{index}]"
        given = members(item, where, {"name", "parameters"})
        name = checked_name(given.get("name"), f"{where}.name", seen)
        parameters = checked_parameters(given.get("parameters"), f"{where}.parameters", of_output=True)
        requested.append(RequestedOutput(name, parameters))
    return tuple(requested)


def _encode(
    message: dict[str, Any], key: str, tensors: tuple[Tensor, ...], binary: list[bool]
) -> tuple[list[Buffer], dict[str, str]]:
    described = []
    raw: list[Buffer] = []
    raw_size = 0
    for index, (tensor, as_bytes) in enumerate(zip(tensors, binary, strict=True)):
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        parameters: Parameters = tensor.parameters
        if as_bytes:
            buffers, size = buffers_of(tensor)
            raw += buffers
            raw_size += size
            parameters = {**parameters, "binary_data_size": size}
        else:
            entry["data"] = json_data(tensor, f"{key}[{index}]")
        if parameters:
            entry["parameters"] = dict(parameters)
        described.append(entry)
    message[key] = described
    text = _dumps(message)
    if not any(binary):
        return [text], {"content-type": JSON_TYPE, "content-length": str(len(text))}
    text += b" " * (-len(text) % _ALIGNMENT)
    headers = {
        "content-type": BINARY_TYPE,
        HEADER_LENGTH: str(len(text)),
        "content-length": str(len(text) + raw_size),
    }
    return gather([text, *raw]), headers


def _dumps(message: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:  # a name or a parameter that is no JSON, such as half a surrogate pair
        raise refuse("body", f"cannot be written as JSON: {error}") from error
