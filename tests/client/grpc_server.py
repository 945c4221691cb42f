"""A small V2 gRPC server for the client's tests: it answers, and misbehaves as told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc

from kelp.codec import InferRequest, InferResponse
from kelp.codec.grpc_messages import decode_request, encode_response
from kelp.codec.grpc_metadata import index_message, metadata_message
from kelp.codec.grpc_pool import METHODS
from kelp.codec.status import grpc_details, grpc_status, trailing_metadata
from tests.client.http_server import echo


class GrpcServer(grpc.GenericRpcHandler):
    """`plan` has one entry for each coming call: "answer", "hang", "slow", "garbage", "cancel" or a KelpError."""

    def __init__(self, port: int = 0, tls: grpc.ServerCredentials | None = None) -> None:
        self.plan: list = []
        self.requests: list[tuple[str, bytes, dict[str, str]]] = []
        self.left = threading.Event()
        self.respond: Callable[[InferRequest], InferResponse] = echo
        self._closing = threading.Event()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(8), [self], options=[("grpc.max_receive_message_length", -1)]
        )
        address = f"127.0.0.1:{port}"
        if tls is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, tls)
        self._server.start()
        self.url = f"{'grpcs' if tls else 'grpc'}://127.0.0.1:{self.port}"

    @property
    def infers(self):
        return [decode_request(raw) for method, raw, _ in self.requests if method == "ModelInfer"]

    def close(self) -> None:
        self._closing.set()
        self._server.stop(0).wait(5)

    def service(self, details):
        method = details.method.rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(lambda raw, context: self._act(method, raw, context))

    def _act(self, method, raw, context):
        self.requests.append((method, raw, dict(context.invocation_metadata())))
        step = self.plan.pop(0) if self.plan else "answer"
        if step == "hang":
            context.add_callback(self.left.set)
            self._closing.wait(30)
            return b""
        if step == "slow":
            self._closing.wait(0.3)
        elif step == "garbage":
            return b"\xff\xff"
        elif step == "cancel":
            context.abort(grpc.StatusCode.CANCELLED, "dropped")
        elif step != "answer":
            context.set_trailing_metadata(trailing_metadata(step))
            context.abort(grpc.StatusCode[grpc_status(step)], grpc_details(step))
        return self._answer(method, raw)

    def _answer(self, method, raw):
        if method == "ModelInfer":
            request = decode_request(raw)
            return encode_response(self.respond(request), request)
        if method == "RepositoryIndex":
            return index_message([{"name": "one", "state": "READY"}, {"name": "two"}]).SerializeToString()
        if method == "ModelMetadata":
            return metadata_message({"name": "m", "parameters": {"card": {"title": "M"}}}).SerializeToString()
        return METHODS["ModelReady"][1](ready=True).SerializeToString()


@contextlib.contextmanager
def grpc_server(port: int = 0, tls: grpc.ServerCredentials | None = None) -> Iterator[GrpcServer]:
    server = GrpcServer(port, tls)
    try:
        yield server
    finally:
        server.close()
