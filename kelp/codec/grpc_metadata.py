"""V2's model metadata and repository index, as JSON has them, in gRPC's messages and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kelp.codec.grpc_pool import METHODS

ModelMetadataResponse = METHODS["ModelMetadata"][1]
RepositoryIndexResponse = METHODS["RepositoryIndex"][1]


def metadata_message(metadata: Mapping[str, Any]) -> Any:
    """A ModelMetadataResponse with what REST answers: name, versions, platform, inputs, outputs, parameters.

    A parameter that is an object or a list, such as `card`, travels as JSON text.
    """
    message = ModelMetadataResponse(
        name=metadata["name"], versions=metadata.get("versions") or (), platform=metadata.get("platform", "")
    )
    for key in ("inputs", "outputs"):
        for tensor in metadata.get(key) or ():
            getattr(message, key).add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
    for name, value in (metadata.get("parameters") or {}).items():
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        message.parameters[name].string_param = text
    return message


def metadata_of(message: Any) -> dict[str, Any]:
    """What REST answers, out of a ModelMetadataResponse."""
    metadata: dict[str, Any] = {
        "name": message.name,
        "versions": list(message.versions),
        "platform": message.platform,
    }
    for key in ("inputs", "outputs"):
        metadata[key] = [
            {"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in getattr(message, key)
        ]
    if message.parameters:
        metadata["parameters"] = {name: _value(value.string_param) for name, value in message.parameters.items()}
    return metadata


def index_message(models: Sequence[Mapping[str, Any]]) -> Any:
    """A RepositoryIndexResponse out of REST's list of name, version, state and reason."""
    message = RepositoryIndexResponse()
    for model in models:
        message.models.add(**{key: model.get(key) or "" for key in ("name", "version", "state", "reason")})
    return message


def _value(text: str) -> Any:
    if text[:1] not in ("{", "["):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
