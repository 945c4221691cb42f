"""The asynchronous gRPC client."""

from __future__ import annotations

from typing import Any

import grpc.aio

from kelp import tracing
from kelp.client.async_calls import AsyncCalls
from kelp.client.config import ClientConfig
from kelp.client.grpc_core import GrpcCore, RpcCall, channel_options, error_of, root_certificates


class AsyncGrpcClient(AsyncCalls):
    """V2 over gRPC, on asyncio."""

    def __init__(self, config: ClientConfig) -> None:
        self._grpc = GrpcCore(config)
        super().__init__(self._grpc)
        self._config = config
        # Made by the first call: a channel belongs to the event loop that runs then.
        self._open_channel: Any = None

    async def close(self) -> None:
        if self._open_channel is not None:
            await self._open_channel.close()
            self._open_channel = None

    async def _send(self, call: RpcCall, timeout_s: float) -> bytes:
        try:
            answer: bytes = await self._channel().unary_unary(call.path)(
                call.body, timeout=timeout_s, metadata=(*self._grpc.metadata_of_calls, *tracing.headers().items())
            )
        except grpc.RpcError as error:
            raise error_of(error, self._config) from error
        return answer

    def _channel(self) -> Any:
        if self._open_channel is None:
            options = channel_options(self._config)
            if self._config.secure:
                credentials = grpc.ssl_channel_credentials(root_certificates(self._config))
                self._open_channel = grpc.aio.secure_channel(self._config.grpc_target, credentials, options)
            else:
                self._open_channel = grpc.aio.insecure_channel(self._config.grpc_target, options)
        return self._open_channel
