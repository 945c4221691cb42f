"""Calls any of the four clients in the same way."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import numpy as np

from kelp.client import AsyncClient, AsyncGrpcClient, Client, ClientConfig, GrpcClient
from kelp.codec import InferRequest, Tensor

CLIENTS = {"rest": Client, "rest-async": AsyncClient, "grpc": GrpcClient, "grpc-async": AsyncGrpcClient}
REQUEST = InferRequest(
    "m",
    (Tensor.from_bytes("image", [b"\xff\xd8", b""]), Tensor.from_array("points", np.arange(4, dtype="f4"))),
    parameters={"conf_threshold": 0.5},
    id="7",
)
QUICK = {"backoff_s": 0.01, "backoff_max_s": 0.05, "progress_every_s": 0.05, "cold_start_s": 10.0, "timeout_s": 10.0}


def call(kind: str, url: str, method: str, *args: Any, config: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    """The result of `method` on a client of that kind, which is closed afterwards."""
    settings = ClientConfig(url, **{**QUICK, **(config or {})})
    client = CLIENTS[kind](settings)
    if isinstance(client, (Client, GrpcClient)):
        with client:
            return getattr(client, method)(*args, **kwargs)

    async def run() -> Any:
        async with client:
            result = getattr(client, method)(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

    return asyncio.run(run())
