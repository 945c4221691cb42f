"""Clients of V2: `Client` and `AsyncClient` over REST, `GrpcClient` and `AsyncGrpcClient` over gRPC.

All four have the same methods and raise the same errors. httpx and grpc are imported only with the client that needs
them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kelp.client.config import ClientConfig
from kelp.client.core import IndexedModel, OnWaiting
from kelp.client.errors import CANNOT_START, ConnectionBroken, MalformedAnswer, NotTrusted
from kelp.client.images import Image

if TYPE_CHECKING:
    from kelp.client.grpc_async import AsyncGrpcClient
    from kelp.client.grpc_sync import GrpcClient
    from kelp.client.rest import Client
    from kelp.client.rest_async import AsyncClient

__all__ = [
    "CANNOT_START",
    "AsyncClient",
    "AsyncGrpcClient",
    "Client",
    "ClientConfig",
    "ConnectionBroken",
    "GrpcClient",
    "Image",
    "IndexedModel",
    "MalformedAnswer",
    "NotTrusted",
    "OnWaiting",
]

_CLIENTS = {
    "AsyncClient": "rest_async",
    "AsyncGrpcClient": "grpc_async",
    "Client": "rest",
    "GrpcClient": "grpc_sync",
}


def __getattr__(name: str) -> Any:
    if name not in _CLIENTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_CLIENTS[name]}"), name)
