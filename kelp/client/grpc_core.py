"""V2 over gRPC as calls and answers, without any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kelp.client.between import error_between_grpc
from kelp.client.config import ClientConfig
from kelp.client.core import Core, IndexedModel
from kelp.client.errors import ConnectionBroken, NotTrusted
from kelp.client.exchange import Steps
from kelp.codec import InferRequest, InferResponse
from kelp.codec.grpc_messages import decode_response, encode_request
from kelp.codec.grpc_metadata import metadata_of
from kelp.codec.grpc_pool import METHODS, parse, path_of
from kelp.codec.status import CODE_KEY, error_from_grpc
from kelp.errors import KelpError, NotReady, Unreachable

# How gRPC's core words the failures of a connection; all of them have the status UNAVAILABLE.
_TRUST = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "Ssl handshake failed")
_BROKEN = ("Socket closed", "Connection reset", "Broken pipe", "GOAWAY", "Stream removed", "keepalive", "Endpoint read")
_ABSENT = ("failed to connect", "Connection refused", "DNS resolution failed", "No route to host", "name resolution")


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One call: the method's HTTP/2 path and the serialized request."""

    path: str
    body: bytes


class GrpcCore(Core):
    def __init__(self, config: ClientConfig) -> None:
        super().__init__(config)
        self.metadata_of_calls = (("authorization", f"Bearer {config.token}"),) if config.token else ()

    def infer_call(self, request: InferRequest) -> RpcCall:
        return RpcCall(path_of("ModelInfer"), encode_request(request))

    def read_infer(self, answer: bytes) -> InferResponse:
        with self.reading():
            return decode_response(answer)

    def ready_call(self, model: str) -> RpcCall:
        return _call("ModelReady", name=model)

    def server_call(self, question: str) -> RpcCall:
        return _call({"live": "ServerLive", "ready": "ServerReady"}[question])

    def read_yes(self, answer: bytes) -> None:
        # ServerLive, ServerReady and ModelReady all answer with one boolean in field 1.
        with self.reading():
            yes = parse(METHODS["ModelReady"][1], answer).ready
        if not yes:
            raise NotReady("the server says that it is not ready")

    def metadata_call(self, model: str) -> RpcCall:
        return _call("ModelMetadata", name=model)

    def read_metadata(self, answer: bytes) -> dict[str, Any]:
        with self.reading():
            return metadata_of(parse(METHODS["ModelMetadata"][1], answer))

    def models(self) -> Steps[list[IndexedModel]]:
        """The repository index; NotSupported of a server that has none (KServe's own)."""
        return self.once(_call("RepositoryIndex"), self._read_index)

    def _read_index(self, answer: bytes) -> list[IndexedModel]:
        with self.reading():
            found = parse(METHODS["RepositoryIndex"][1], answer)
        return [IndexedModel(m.name, m.version, m.state, m.reason) for m in found.models]


def channel_options(config: ClientConfig) -> list[tuple[str, int | str]]:
    """Options of the channel: repeats are ours, and a server that comes up late is found within seconds."""
    authority = [("grpc.default_authority", config.host)] if config.host else []
    return [
        *authority,
        ("grpc.enable_http_proxy", int(config.proxies)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", int(config.connect_s * 1000)),
        ("grpc.max_reconnect_backoff_ms", int(config.backoff_max_s * 1000)),
    ]


def root_certificates(config: ClientConfig) -> bytes | None:
    """The certificates to trust; None: gRPC's own choice."""
    if config.ca is None:
        return None
    with open(config.ca, "rb") as file:
        return file.read()


def error_of(error: Any, config: ClientConfig) -> KelpError:
    """The error of Kelp's tree that stands for one of gRPC's (an RpcError that is a Call, or an AioRpcError)."""
    status = error.code().name
    details = error.details() or ""
    metadata = {key: value for key, value in error.trailing_metadata() or () if isinstance(value, str)}
    if CODE_KEY not in metadata:
        if status == "UNAVAILABLE":
            for words, kind in ((_TRUST, NotTrusted), (_ABSENT, Unreachable), (_BROKEN, ConnectionBroken)):
                if any(word in details for word in words):
                    return kind(f"{config.url}: {details}")
        if (between := error_between_grpc(status, details)) is not None:
            return between
    if status == "CANCELLED":
        # We never cancel a call and still wait for it: the server, or a proxy, dropped it.
        return ConnectionBroken(f"{config.url}: the call was cancelled by the other side")
    return error_from_grpc(status, details, metadata)


def _call(method: str, **fields: str) -> RpcCall:
    return RpcCall(path_of(method), METHODS[method][0](**fields).SerializeToString())
