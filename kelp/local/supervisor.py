"""All models of this machine: found by name, described from their cards, started and ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kelp.card.metadata import model_metadata
from kelp.errors import Conflict, InvalidRequest, NotFound
from kelp.local import gpus
from kelp.local.budget import Budget, cost_of
from kelp.local.cards import CardFile
from kelp.local.labels import Labels
from kelp.local.metrics import Metrics
from kelp.local.model import ServedModel
from kelp.local.rooms import Rooms
from kelp.local.start import Starter

_V2_STATE = {"asleep": "UNAVAILABLE", "starting": "LOADING", "ready": "READY", "failing": "UNAVAILABLE"}


class Supervisor:
    """Made inside the running event loop."""

    def __init__(self, cards: dict[str, CardFile], budget: Budget, starter: Starter, labels: Labels) -> None:
        """OverBudget where the models that `scale.min` keeps awake do not fit together."""
        self.metrics = Metrics()
        self._labels = labels
        self._starter = starter
        self._rooms = Rooms(budget)
        self._has_gpu = bool(gpus.list_devices())
        self.on_unknown: Callable[[], None] = lambda: None
        """Called before a name is refused: it may have become known a moment ago."""
        self._leaving: dict[asyncio.Task[None], ServedModel] = {}
        self._models = self._made(cards, {})

    def replace(self, cards: dict[str, CardFile]) -> dict[str, str]:
        """Serve these from now on; what has not changed is left alone. Gives name → added, changed or removed.

        OverBudget, and nothing is changed, where those that `scale.min` keeps awake do not fit together.
        """
        former = self._models
        models = self._made(cards, former)
        told: dict[str, str] = {}
        for name, model in models.items():
            before = former.get(name)
            if before is model:
                continue
            told[name] = "changed" if before is not None else "added"
            self._labels.forget(name)
            if before is not None:
                self._leaves(before, model.follow(before))
        for name in former.keys() - models.keys():
            told[name] = "removed"
            self._labels.forget(name)
            self._leaves(former[name], asyncio.create_task(former[name].retire(None), name=f"retire {name}"))
        self._models = models
        for name in told.keys() & models.keys():
            models[name].keep_awake()
        return told

    def _leaves(self, model: ServedModel, task: asyncio.Task[None]) -> None:
        self._leaving[task] = model
        task.add_done_callback(self._leaving.pop)

    def _made(self, cards: dict[str, CardFile], former: dict[str, ServedModel]) -> dict[str, ServedModel]:
        models = {}
        for name, file in sorted(cards.items()):
            before = former.get(name)
            if before is not None and before.file == file:
                models[name] = before
                continue
            cost = cost_of(file.card, has_gpu=self._has_gpu)
            models[name] = ServedModel(file, cost, self._rooms, self._starter, self.metrics)
        self._rooms.check_together([(m.name, m.cost) for m in models.values() if m.kept])
        return models

    def model(self, name: str, version: str | None = None) -> ServedModel:
        """NotFound names the models that there are; a version must be the card's."""
        if name not in self._models:
            self.on_unknown()
        found = self._models.get(name)
        if found is None:
            raise NotFound(f"no model '{name}'; there are: {', '.join(self._models) or 'none'}")
        if version is not None and version != found.card.version:
            has = f"its version is {found.card.version}" if found.card.version else "it has no versions"
            raise InvalidRequest(f"model '{name}': no version '{version}'; {has}")
        return found

    def names(self) -> list[str]:
        return list(self._models)

    def largest_body(self) -> int:
        """Bytes of the largest request that any model takes."""
        return max((model.card.limits.body for model in self._models.values()), default=0)

    def states(self) -> list[tuple[str, str]]:
        return [(model.name, model.state) for model in self._models.values()]

    def index(self, *, ready_only: bool = False) -> list[dict[str, str]]:
        """V2's repository index; wakes nothing. `reason` says what a model does that is neither ready nor asleep."""
        return [
            {
                "name": model.name,
                "version": model.card.version or "",
                "state": _V2_STATE[model.state],
                "reason": model.reason or ("" if model.state == "ready" else model.state),
            }
            for model in self._models.values()
            if model.state == "ready" or not ready_only
        ]

    def metadata(self, model: ServedModel) -> dict[str, Any]:
        """V2's model metadata from the card; wakes nothing."""
        described = model_metadata(model.card, model.state, self._labels.of(model.card))
        if model.reason:
            described["parameters"]["card"]["reason"] = model.reason
        return described

    async def load(self, model: ServedModel) -> None:
        """Wake `model` and wait until it is ready."""
        async with model.use():
            return

    async def unload(self, model: ServedModel) -> None:
        """Put `model` to sleep. Conflict where somebody uses it, or its card keeps it awake."""
        if model.kept:
            raise Conflict(f"model '{model.name}' is kept awake by its card (scale.min)")
        if model.state in {"ready", "starting"} and model.idle_s() is None:
            raise Conflict(f"model '{model.name}' is in use")
        await model.fall_asleep("unloaded by request")

    def begin(self) -> None:
        """Start what the cards keep awake."""
        for model in self._models.values():
            model.keep_awake()

    def refuse(self) -> None:
        """Wake nothing any more; requests under way go on."""
        for model in self._models.values():
            model.refuse()

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(*(model.close() for model in [*self._models.values(), *self._leaving.values()]))
