"""A V2 inference request and its response, the same for REST and gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kelp.codec.tensor import Parameters, Tensor

AnswerForm = Literal["json", "binary", "contents"]


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that a request names; `parameters` may hold REST's `binary_data`."""

    name: str
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class InferRequest:
    """What a caller asks of a model.

    outputs: those named, in order; empty: none named. parameters: the request's own, settings of the model among them
    (`binary_data_output` is not: it is `answer`). answer: how outputs come back that do not say otherwise: lists in
    JSON, bytes (REST's binary extension, gRPC's raw contents), or gRPC's typed contents.
    """

    model_name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[RequestedOutput, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    model_version: str = ""
    id: str = ""
    answer: AnswerForm = "json"

    @property
    def named_outputs(self) -> frozenset[str] | None:
        """Names of the outputs asked for; None where the request names none."""
        return frozenset(o.name for o in self.outputs) if self.outputs else None

    @property
    def inputs_by_name(self) -> Mapping[str, Tensor]:
        return {tensor.name: tensor for tensor in self.inputs}

    def wants_binary(self, output: str) -> bool:
        """Whether a REST answer carries this output as bytes: its own `binary_data`, else what the request says."""
        for named in self.outputs:
            if named.name == output and "binary_data" in named.parameters:
                return named.parameters["binary_data"] is True
        return self.answer == "binary"


@dataclass(frozen=True, slots=True, eq=False)
class InferResponse:
    """What a model answers."""

    model_name: str
    outputs: tuple[Tensor, ...]
    parameters: Parameters = field(default_factory=dict)
    model_version: str = ""
    id: str = ""

    @property
    def outputs_by_name(self) -> Mapping[str, Tensor]:
        return {tensor.name: tensor for tensor in self.outputs}
