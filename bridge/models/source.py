"""What the bridge asks of the place where the models are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.models.card import ModelCard
from kelp.card.metadata import State
from kelp.codec import InferRequest, InferResponse
from kelp.detections import Detections


@dataclass(frozen=True, slots=True)
class Listing:
    """`problem` says why `names` may not be all: then nobody is told that a model does not exist."""

    names: frozenset[str]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """For metrics. state: of `kelp.card.metadata.State`; gpus: that one replica holds, or slices of one;
    None while the card was not read."""

    name: str
    state: State
    gpus: float | None = None
    min_replicas: int = 0


class Models(Protocol):
    """Two there are: `EndpointModels`, behind one V2 address, and `ClusterModels`, a cluster's InferenceServices."""

    async def listing(self, *, sure: bool = False) -> Listing:
        """The models' names; wakes none. `sure`: asked for now, not remembered. KelpError where nothing can be told."""

    async def card(self, model: str) -> ModelCard:
        """The model's card; wakes nothing. NotFound where there is no such model."""

    async def wait_ready(self, model: str, *, timeout_s: float) -> None:
        """Wake the model; return once it is ready. NotReady if it is not in time."""

    async def detect(
        self,
        model: str,
        images: Sequence[Any],
        *,
        outputs: Sequence[str] | None = None,
        parameters: Any = None,
        timeout_s: float | None = None,
    ) -> Detections:
        """What the model finds in `images` (encoded files)."""

    async def infer(self, request: InferRequest, *, timeout_s: float | None = None) -> InferResponse:
        """The model's answer to `request`."""

    def trouble(self, model: str) -> str | None:
        """Why the model does not get ready, as far as anybody says so."""

    def facts(self) -> list[ModelFacts]:
        """How the models are, as far as that is known here."""

    def notes(self) -> list[str]:
        """What somebody should know about the models and their cards."""

    async def changed(self) -> None:
        """Return when a model came, went or changed, as far as anybody tells before the next listing."""

    async def run(self) -> None:
        """Keep up to date, for ever."""

    async def close(self) -> None: ...
