"""What every client does, without any I/O: which calls make up a method, and what their answers mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from kelp import tracing
from kelp.client.config import ClientConfig
from kelp.client.errors import MalformedAnswer
from kelp.client.exchange import Attempts, Result, Steps, exchange
from kelp.client.images import Image, image_tensor
from kelp.codec import InferRequest, InferResponse, Parameters, RequestedOutput
from kelp.detections import Detections
from kelp.detections.tensors import from_tensors
from kelp.errors import InvalidRequest, NotReady, TooLate

OnWaiting = Callable[[float], None]
"""Called about once a second while an answer is awaited, with the seconds since the call began."""


@dataclass(frozen=True, slots=True)
class IndexedModel:
    """An entry of the repository index; `state`: READY, UNAVAILABLE or LOADING, empty where there is no index."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


class Core(ABC):
    """Builds the calls of one protocol and reads their answers. A call is whatever the protocol's clients can send."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config

    @abstractmethod
    def infer_call(self, request: InferRequest) -> Any:
        """The call that delivers `request`."""

    @abstractmethod
    def read_infer(self, answer: Any) -> InferResponse:
        """The response in its answer."""

    @abstractmethod
    def ready_call(self, model: str) -> Any: ...

    @abstractmethod
    def server_call(self, question: str) -> Any:
        """The call that asks the server whether it is `live` or `ready`."""

    @abstractmethod
    def read_yes(self, answer: Any) -> None:
        """NotReady unless the answer says yes."""

    @abstractmethod
    def metadata_call(self, model: str) -> Any: ...

    @abstractmethod
    def read_metadata(self, answer: Any) -> dict[str, Any]: ...

    @abstractmethod
    def models(self) -> Steps[list[IndexedModel]]:
        """The repository index."""

    def infer(self, request: InferRequest, timeout_s: float | None) -> Steps[InferResponse]:
        whole = self.config.timeout_s + self.config.cold_start_s if timeout_s is None else timeout_s
        attempts = Attempts(self.config, timeout_s=whole, patience_s=self.config.cold_start_s)
        return exchange(attempts, lambda left: self.infer_call(_with_deadline(request, left)), self.read_infer)

    def wait_ready(self, model: str, timeout_s: float | None) -> Steps[None]:
        patience = self.config.cold_start_s if timeout_s is None else timeout_s
        attempts = Attempts(self.config, timeout_s=patience, patience_s=patience, asks=True)
        try:
            yield from exchange(attempts, lambda _: self.ready_call(model), self.read_yes)
        except TooLate as error:
            raise NotReady(f"not ready within {patience:g} s: {error.message}") from error

    def ready(self, model: str) -> Steps[bool]:
        return self._asked(self.ready_call(model))

    def live(self) -> Steps[bool]:
        return self._asked(self.server_call("live"))

    def server_ready(self) -> Steps[bool]:
        return self._asked(self.server_call("ready"))

    def metadata(self, model: str) -> Steps[dict[str, Any]]:
        return self.once(self.metadata_call(model), self.read_metadata)

    def once(self, call: Any, read: Callable[[Any], Result]) -> Steps[Result]:
        """A call that nobody waits a cold start for; a broken connection is repeated all the same."""
        attempts = Attempts(self.config, timeout_s=self.config.timeout_s, patience_s=0.0)
        return exchange(attempts, lambda _: call, read)

    def detect_request(
        self,
        model: str,
        images: Sequence[Image],
        outputs: Sequence[str] | None,
        parameters: Parameters | None,
    ) -> InferRequest:
        return InferRequest(
            model_name=model,
            inputs=(image_tensor(images),),
            outputs=tuple(RequestedOutput(name) for name in outputs or ()),
            parameters=parameters or {},
            answer="binary",
        )

    def detections(self, response: InferResponse) -> Detections:
        return from_tensors(response.outputs_by_name)

    def _asked(self, call: Any) -> Steps[bool]:
        try:
            yield from self.once(call, self.read_yes)
        except NotReady:
            return False
        return True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around the decoding of an answer: what is wrong with it is the server's fault, not the caller's."""
        try:
            yield
        except InvalidRequest as error:
            raise MalformedAnswer(f"malformed answer from {self.config.url}: {error.message}") from error


def trace_of(request: InferRequest) -> tuple[str, dict[str, tracing.Attribute]]:
    """Name and attributes of the span of an inference."""
    return f"V2 infer {request.model_name}", {"kelp.model": request.model_name}


def _with_deadline(request: InferRequest, left_s: float) -> InferRequest:
    """The request with V2's parameter `timeout` in microseconds; a smaller one of the caller's stays."""
    given = request.parameters.get("timeout")
    micros = max(int(left_s * 1e6), 1)
    if isinstance(given, int) and 0 < given < micros:
        return request
    return replace(request, parameters={**request.parameters, "timeout": micros})


def index_of(models: Sequence[Mapping[str, Any]]) -> list[IndexedModel]:
    """The repository index as REST has it. MalformedAnswer where it is no such list."""
    try:
        return [
            IndexedModel(str(m["name"]), *(str(m.get(key) or "") for key in ("version", "state", "reason")))
            for m in models
        ]
    except (TypeError, KeyError, AttributeError) as error:
        raise MalformedAnswer("the repository index is not a list of models") from error
