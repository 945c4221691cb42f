"""The synchronous gRPC client."""

from __future__ import annotations

import grpc

from kelp import tracing
from kelp.client.config import ClientConfig
from kelp.client.grpc_core import GrpcCore, RpcCall, channel_options, error_of, root_certificates
from kelp.client.sync_calls import SyncCalls


class GrpcClient(SyncCalls):
    """V2 over gRPC."""

    def __init__(self, config: ClientConfig) -> None:
        self._grpc = GrpcCore(config)
        super().__init__(self._grpc)
        self._config = config
        options = channel_options(config)
        if config.secure:
            credentials = grpc.ssl_channel_credentials(root_certificates(config))
            self._channel = grpc.secure_channel(config.grpc_target, credentials, options)
        else:
            self._channel = grpc.insecure_channel(config.grpc_target, options)

    def close(self) -> None:
        self._channel.close()

    def _send(self, call: RpcCall, timeout_s: float) -> bytes:
        try:
            answer: bytes = self._channel.unary_unary(call.path)(
                call.body, timeout=timeout_s, metadata=(*self._grpc.metadata_of_calls, *tracing.headers().items())
            )
        except grpc.RpcError as error:
            raise error_of(error, self._config) from error
        return answer
