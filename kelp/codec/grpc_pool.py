"""The gRPC service's messages, from a descriptor pool of our own.

KServe and Triton register files of the same package in protobuf's default pool; with a pool of its own this module
lives beside both of them in one process.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from kelp.codec.fail import refuse
from kelp.codec.grpc_descriptor import DESCRIPTOR
from kelp.codec.tensor import Buffer

SERVICE = "inference.GRPCInferenceService"

_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(DESCRIPTOR)


def message_class(name: str) -> Any:
    """The message class of that name in package `inference`, such as `ModelReadyRequest`."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"inference.{name}"))


METHODS: dict[str, tuple[Any, Any]] = {
    method.name: (message_class(method.input_type.name), message_class(method.output_type.name))
    for method in _pool.FindServiceByName(SERVICE).methods
}
"""Each call of the service: name → (request class, response class)."""


def path_of(method: str) -> str:
    """The HTTP/2 path of a call: `/inference.GRPCInferenceService/ModelInfer`."""
    return f"/{SERVICE}/{method}"


def parse(kind: Any, raw: Buffer, what: str = "message") -> Any:
    """A message of class `kind` out of its bytes. InvalidRequest where they are none."""
    try:
        return kind.FromString(bytes(raw))
    except DecodeError as error:
        raise refuse(what, f"not a valid {kind.DESCRIPTOR.full_name}: {error}") from error


def repository_model_name(request: Message) -> str:
    """The model that a RepositoryModelLoadRequest or …UnloadRequest names, from KServe's client or from Triton's."""
    given: Any = request
    name: str = given.model_name or given.repository_name
    if not name:
        raise refuse("model_name", "it is missing")
    return name
