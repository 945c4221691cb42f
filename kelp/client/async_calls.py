"""The methods of the two asynchronous clients."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self, TypeVar

from kelp import tracing
from kelp.client.core import Core, IndexedModel, OnWaiting, trace_of
from kelp.client.exchange import Send, Steps
from kelp.client.images import Image
from kelp.client.progress import progress_async
from kelp.codec import InferRequest, InferResponse, Parameters
from kelp.detections import Detections
from kelp.errors import KelpError

Result = TypeVar("Result")


class AsyncCalls(ABC):
    """V2's calls on an asyncio event loop: SyncCalls' methods, arguments and errors. One event loop a client.

    A call that is cancelled lets go of its connection at once; the server sees that its caller left.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    @abstractmethod
    async def _send(self, call: Any, timeout_s: float) -> Any:
        """Deliver one call and return its answer; KelpError where there is none."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""

    async def infer(
        self, request: InferRequest, *, timeout_s: float | None = None, on_waiting: OnWaiting | None = None
    ) -> InferResponse:
        """The answer to `request`, a cold start waited out; `on_waiting` is called on the event loop."""
        async with progress_async(on_waiting, self._core.config.progress_every_s):
            with tracing.span(*trace_of(request), kind="client"):
                return await self._run(self._core.infer(request, timeout_s))

    async def detect(
        self,
        model: str,
        images: Sequence[Image],
        *,
        outputs: Sequence[str] | None = None,
        parameters: Parameters | None = None,
        timeout_s: float | None = None,
        on_waiting: OnWaiting | None = None,
    ) -> Detections:
        """What `model` finds in `images`: encoded files, or uint8 [H, W, 3] RGB arrays of one size."""
        request = self._core.detect_request(model, images, outputs, parameters)
        return self._core.detections(await self.infer(request, timeout_s=timeout_s, on_waiting=on_waiting))

    async def wait_ready(
        self, model: str, *, timeout_s: float | None = None, on_waiting: OnWaiting | None = None
    ) -> None:
        """Wakes the model and returns once it is ready; NotReady if it is not within `timeout_s` (`cold_start_s`)."""
        async with progress_async(on_waiting, self._core.config.progress_every_s):
            await self._run(self._core.wait_ready(model, timeout_s))

    async def ready(self, model: str) -> bool:
        """Whether the model is ready now; asking wakes one that sleeps. NotFound where there is none."""
        return await self._run(self._core.ready(model))

    async def live(self) -> bool:
        """Whether the server answers at all."""
        return await self._run(self._core.live())

    async def server_ready(self) -> bool:
        """Whether the server is ready."""
        return await self._run(self._core.server_ready())

    async def models(self) -> list[IndexedModel]:
        """The server's models and their states; wakes none."""
        return await self._run(self._core.models())

    async def metadata(self, model: str) -> dict[str, Any]:
        """V2's model metadata; Kelp's servers put the card's public part at `parameters.card`. Wakes nothing."""
        return await self._run(self._core.metadata(model))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[Result]) -> Result:
        try:
            step = next(steps)
            while True:
                if isinstance(step, Send):
                    try:
                        answer = await self._send(step.call, step.timeout_s)
                    except KelpError as error:
                        step = steps.throw(error)
                    else:
                        step = steps.send(answer)
                else:
                    await asyncio.sleep(step.seconds)
                    step = steps.send(None)
        except StopIteration as done:
            result: Result = done.value
            return result
