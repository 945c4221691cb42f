"""The methods of the two synchronous clients."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self, TypeVar

from kelp import tracing
from kelp.client.core import Core, IndexedModel, OnWaiting, trace_of
from kelp.client.exchange import Send, Steps
from kelp.client.images import Image
from kelp.client.progress import progress
from kelp.codec import InferRequest, InferResponse, Parameters
from kelp.detections import Detections
from kelp.errors import KelpError

Result = TypeVar("Result")


class SyncCalls(ABC):
    """V2's calls, blocking. Errors are KelpError's subclasses, the same ones over REST and gRPC.

    A client may be shared between threads.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    @abstractmethod
    def _send(self, call: Any, timeout_s: float) -> Any:
        """Deliver one call and return its answer; KelpError where there is none."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    def infer(
        self, request: InferRequest, *, timeout_s: float | None = None, on_waiting: OnWaiting | None = None
    ) -> InferResponse:
        """The answer to `request`, a cold start waited out.

        timeout_s: for everything together (default: the configuration's `timeout_s` + `cold_start_s`); the server is
        told too. on_waiting: called about once a second, from another thread, with the seconds since the call began.
        """
        with progress(on_waiting, self._core.config.progress_every_s), tracing.span(*trace_of(request), kind="client"):
            return self._run(self._core.infer(request, timeout_s))

    def detect(
        self,
        model: str,
        images: Sequence[Image],
        *,
        outputs: Sequence[str] | None = None,
        parameters: Parameters | None = None,
        timeout_s: float | None = None,
        on_waiting: OnWaiting | None = None,
    ) -> Detections:
        """What `model` finds in `images`: encoded files, or uint8 [H, W, 3] RGB arrays of one size.

        outputs: names of the columns wanted (default: all that the model has). parameters: settings of the model.
        """
        request = self._core.detect_request(model, images, outputs, parameters)
        return self._core.detections(self.infer(request, timeout_s=timeout_s, on_waiting=on_waiting))

    def wait_ready(self, model: str, *, timeout_s: float | None = None, on_waiting: OnWaiting | None = None) -> None:
        """Wakes the model and returns once it is ready; NotReady if it is not within `timeout_s` (`cold_start_s`)."""
        with progress(on_waiting, self._core.config.progress_every_s):
            self._run(self._core.wait_ready(model, timeout_s))

    def ready(self, model: str) -> bool:
        """Whether the model is ready now; asking wakes one that sleeps. NotFound where there is none."""
        return self._run(self._core.ready(model))

    def live(self) -> bool:
        """Whether the server answers at all."""
        return self._run(self._core.live())

    def server_ready(self) -> bool:
        """Whether the server is ready."""
        return self._run(self._core.server_ready())

    def models(self) -> list[IndexedModel]:
        """The server's models and their states; wakes none."""
        return self._run(self._core.models())

    def metadata(self, model: str) -> dict[str, Any]:
        """V2's model metadata; Kelp's servers put the card's public part at `parameters.card`. Wakes nothing."""
        return self._run(self._core.metadata(model))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Steps[Result]) -> Result:
        try:
            step = next(steps)
            while True:
                if isinstance(step, Send):
                    try:
                        answer = self._send(step.call, step.timeout_s)
                    except KelpError as error:
                        step = steps.throw(error)
                    else:
                        step = steps.send(answer)
                else:
                    time.sleep(step.seconds)
                    step = steps.send(None)
        except StopIteration as done:
            result: Result = done.value
            return result
