"""All models behind one V2 address: `kelp up`, or any V2 server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from bridge.models.card import ModelCard
from bridge.models.source import Listing, ModelFacts
from kelp.client import AsyncClient, ClientConfig
from kelp.codec import InferRequest, InferResponse
from kelp.detections import Detections


class EndpointModels:
    def __init__(self, config: ClientConfig) -> None:
        self._client = AsyncClient(config)

    async def listing(self, *, sure: bool = False) -> Listing:
        return Listing(frozenset(model.name for model in await self._client.models()))

    async def card(self, model: str) -> ModelCard:
        return ModelCard.of(model, await self._client.metadata(model))

    async def wait_ready(self, model: str, *, timeout_s: float) -> None:
        await self._client.wait_ready(model, timeout_s=timeout_s)

    async def detect(
        self,
        model: str,
        images: Sequence[Any],
        *,
        outputs: Sequence[str] | None = None,
        parameters: Any = None,
        timeout_s: float | None = None,
    ) -> Detections:
        return await self._client.detect(model, images, outputs=outputs, parameters=parameters, timeout_s=timeout_s)

    async def infer(self, request: InferRequest, *, timeout_s: float | None = None) -> InferResponse:
        return await self._client.infer(request, timeout_s=timeout_s)

    def trouble(self, model: str) -> str | None:
        return None  # the endpoint's own answers say it

    def facts(self) -> list[ModelFacts]:
        return []  # the endpoint tells its own

    def notes(self) -> list[str]:
        return []

    async def changed(self) -> None:
        await asyncio.Event().wait()  # it tells nobody

    async def run(self) -> None:
        """Nothing to keep: every question goes to the endpoint."""

    async def close(self) -> None:
        await self._client.close()
