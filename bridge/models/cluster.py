"""A cluster's models: its InferenceServices, watched, each with its card and an address of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from bridge.kube.api import KubeApi
from bridge.kube.watch import Watched
from bridge.models.callers import Address, Callers
from bridge.models.card import ModelCard
from bridge.models.inference_service import CARD_ANNOTATION, InferenceService
from bridge.models.labels import Labels
from bridge.models.source import Listing, ModelFacts
from bridge.store.database import Database
from kelp.card import Card, parse_card
from kelp.card.load import CardError
from kelp.card.metadata import public_part
from kelp.client.async_calls import AsyncCalls
from kelp.codec import InferRequest, InferResponse
from kelp.detections import Detections
from kelp.errors import Forbidden, KelpError, NotFound, NotReady

GROUP = "/apis/serving.kserve.io/v1beta1"
CARD_KEY = "card.yaml"
# Metadata is all that a list of names needs.
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# A model that has no address yet gets one within seconds.
LOOK_SECONDS = 0.5


class ClusterModels:
    """`namespaces`: where to look; of two models of one name the one in the earlier namespace is used."""

    def __init__(self, api: KubeApi, namespaces: Sequence[str], database: Database, callers: Callers) -> None:
        self._api = api
        self._callers = callers
        self._labels = Labels(database)
        self._watched: dict[str, Watched[InferenceService]] = {
            namespace: Watched(api, _path(namespace), InferenceService.of, self._heed) for namespace in namespaces
        }
        self._cards: dict[str, Card] = {}
        self._card_faults: dict[str, str] = {}
        self._changed = asyncio.Event()

    async def listing(self, *, sure: bool = False) -> Listing:
        names = {name for watched in self._watched.values() for name in watched.items}
        problems = [f"namespace {ns}: {w.problem}" for ns, w in self._watched.items() if w.problem]
        if sure:
            # A watch that died in silence would go on saying that there is no such model.
            for namespace in self._watched:
                names |= await self._names_in(namespace)
            problems = []
        return Listing(frozenset(names), "; ".join(problems) or None)

    async def card(self, model: str) -> ModelCard:
        card = await self._read_card(self._find(model))
        return ModelCard.of_public(model, public_part(card, self._find(model).state, await self._labels.of(card)))

    async def wait_ready(self, model: str, *, timeout_s: float) -> None:
        ends = time.monotonic() + timeout_s
        while True:
            card, client = await self._until_callable(model, ends)
            try:
                if await self._ready_where_it_is(model, client, ends):
                    break
            except NotFound as error:
                # No route leads there yet, or no longer; whether it is gone for good the watch will say.
                if time.monotonic() + LOOK_SECONDS > ends:
                    raise NotReady(f"{model} cannot be reached: {error.message}") from None
                await asyncio.sleep(LOOK_SECONDS)
        await self._labels.learn(card, client)

    async def detect(
        self,
        model: str,
        images: Sequence[Any],
        *,
        outputs: Sequence[str] | None = None,
        parameters: Any = None,
        timeout_s: float | None = None,
    ) -> Detections:
        _, client = await self._caller(model)
        return await client.detect(model, images, outputs=outputs, parameters=parameters, timeout_s=timeout_s)

    async def infer(self, request: InferRequest, *, timeout_s: float | None = None) -> InferResponse:
        _, client = await self._caller(request.model_name)
        return await client.infer(request, timeout_s=timeout_s)

    def trouble(self, model: str) -> str | None:
        try:
            return self._find(model).reason
        except NotFound:
            return None

    def facts(self) -> list[ModelFacts]:
        return [self._facts(name) for name in {name for watched in self._watched.values() for name in watched.items}]

    def _facts(self, model: str) -> ModelFacts:
        state, card = self._find(model).state, self._cards.get(model)
        if card is None:
            return ModelFacts(model, state)
        limits, requests = card.resources.limits, card.resources.requests
        devices = (limits.gpu or requests.gpu or 0, *(limits.mig or requests.mig).values())
        return ModelFacts(model, state, sum(map(float, devices)), card.scale.min)

    def notes(self) -> list[str]:
        notes = []
        seen: dict[str, str] = {}
        for namespace, watched in self._watched.items():
            for name, service in sorted(watched.items.items()):
                if name in seen:
                    notes.append(f"model {name} is in {seen[name]} and in {namespace}: the one in {seen[name]} is used")
                    continue
                seen[name] = namespace
                if service.state == "failing":
                    notes.append(f"model {name} is failing: {service.reason or 'no reason is given'}")
                if name in self._card_faults:
                    notes.append(f"model {name}: {self._card_faults[name]}")
        return notes

    async def changed(self) -> None:
        """Return when a model came, went or changed."""
        await self._changed.wait()
        self._changed.clear()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for watched in self._watched.values():
                group.create_task(watched.run())

    async def close(self) -> None:
        await self._callers.close()
        await self._api.close()

    def _heed(self) -> None:
        there = {name for watched in self._watched.values() for name in watched.items}
        for gone in self._cards.keys() - there:
            del self._cards[gone]
            self._callers.forget(gone)
        for gone in self._card_faults.keys() - there:
            del self._card_faults[gone]
        self._changed.set()

    def _find(self, model: str) -> InferenceService:
        for watched in self._watched.values():
            if (service := watched.items.get(model)) is not None:
                return service
        raise NotFound(f"no InferenceService '{model}' in {' or '.join(self._watched)}", code="no_such_model")

    async def _ready_where_it_is(self, model: str, client: AsyncCalls, ends: float) -> bool:
        """Ask until the model is ready. False where it moved meanwhile: what was asked may never answer."""
        url = self._find(model).url
        asking = asyncio.create_task(client.wait_ready(model, timeout_s=max(ends - time.monotonic(), 0.0)))
        try:
            while not (await asyncio.wait({asking}, timeout=LOOK_SECONDS))[0]:
                if self._find(model).url != url:
                    return False
            await asking
            return True
        finally:
            asking.cancel()

    async def _until_callable(self, model: str, ends: float) -> tuple[Card, AsyncCalls]:
        while True:
            try:
                return await self._caller(model)
            except NotReady:
                if time.monotonic() + LOOK_SECONDS > ends:
                    raise
                await asyncio.sleep(LOOK_SECONDS)

    async def _caller(self, model: str) -> tuple[Card, AsyncCalls]:
        """Its card and its client. NotReady while it has no address."""
        service = self._find(model)
        card = self._cards.get(model) or await self._read_card(service)
        if service.url is None:
            raise NotReady(f"{model} cannot be called yet: {service.reason or 'it is being made'}")
        request_s = card.limits.queue_seconds + card.limits.request_seconds
        return card, self._callers.of(model, Address(service.url, card.protocol, request_s, card.start_timeout))

    async def _read_card(self, service: InferenceService) -> Card:
        """The card in its ConfigMap; the one that was read before where the API server does not answer."""
        name = service.name
        path = f"/api/v1/namespaces/{service.namespace}/configmaps/{service.card}"
        try:
            found = await self._api.get(path)
            card = _card_of(found, service)
        except (NotFound, Forbidden, CardError) as error:
            self._card_faults[name] = f"its card cannot be read: {error.message}"
            raise NotFound(self._card_faults[name], code="no_card") from None
        except KelpError:
            if name in self._cards:
                return self._cards[name]
            raise
        self._card_faults.pop(name, None)
        self._cards[name] = card
        return card

    async def _names_in(self, namespace: str) -> set[str]:
        names: set[str] = set()
        query = {"limit": "500"}
        while True:
            page = await self._api.get(_path(namespace), query, accept=_METADATA_ONLY)
            found = [item["metadata"] for item in page.get("items") or ()]
            names |= {m["name"] for m in found if (m.get("annotations") or {}).get(CARD_ANNOTATION)}
            if not (more := page["metadata"].get("continue")):
                return names
            query["continue"] = more


def _path(namespace: str) -> str:
    return f"{GROUP}/namespaces/{namespace}/inferenceservices"


def _card_of(config_map: Any, service: InferenceService) -> Card:
    text = (config_map.get("data") or {}).get(CARD_KEY)
    source = f"ConfigMap {service.card}"
    if text is None:
        raise CardError(f"{source}: has no {CARD_KEY}")
    # One that a newer `kelp` wrote may have fields that mean nothing here.
    card = parse_card(text, source=source, unknown="ignore")
    if card.model_name != service.name:
        raise CardError(f"{source}: is the card of {card.model_name}, not of {service.name}")
    return card
