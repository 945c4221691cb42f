"""The clients of a cluster's models, one for each address and protocol."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from kelp.client import AsyncClient, AsyncGrpcClient, ClientConfig
from kelp.client.async_calls import AsyncCalls

# A client whose model has moved may still be waiting for answers.
RETIRE_S = 900.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a model is called, and how. request_s: how long one inference may take; start_s: how long a start may."""

    url: str
    protocol: Literal["rest", "grpc"]
    request_s: float
    start_s: float


class Callers:
    def __init__(self, token: str | None = None, gateway: str | None = None) -> None:
        """`gateway`: through which the models are called from outside of the cluster's network."""
        self._token = token
        self._gateway = gateway
        self._clients: dict[str, tuple[Address, AsyncCalls]] = {}
        self._retired: set[asyncio.Task[None]] = set()

    def of(self, model: str, address: Address) -> AsyncCalls:
        """The model's client, at its address of now."""
        known, client = self._clients.get(model, (None, None))
        if client is None or known != address:
            self.forget(model)
            client = self._make(address)
            self._clients[model] = address, client
        return client

    def forget(self, model: str) -> None:
        """Its client is not used any more, but may finish what it does."""
        if (entry := self._clients.pop(model, None)) is not None:
            task = asyncio.create_task(_retire(entry[1]))
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)

    async def close(self) -> None:
        retired = list(self._retired)
        for task in retired:
            task.cancel()
        await asyncio.gather(*retired, return_exceptions=True)
        for _, client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _make(self, address: Address) -> AsyncCalls:
        host = urlsplit(address.url).netloc
        config = ClientConfig(
            self._gateway or address.url,
            self._token,
            timeout_s=address.request_s,
            cold_start_s=address.start_s,
            # A service of the cluster is never behind the proxy that leads out of it.
            proxies=self._gateway is not None,
            host=host if self._gateway else None,
        )
        return AsyncGrpcClient(config) if address.protocol == "grpc" else AsyncClient(config)


async def _retire(client: AsyncCalls) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(RETIRE_S)
    await client.close()
