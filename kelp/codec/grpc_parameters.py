"""Parameters in gRPC's maps of InferParameter."""

from __future__ import annotations

from typing import Any

from kelp.codec.fail import fail, refuse
from kelp.codec.limits import MAX_PARAMETERS
from kelp.codec.parameters import checked_parameters
from kelp.codec.tensor import Parameter, Parameters


def read_parameters(given: Any, where: str, *, of_output: bool = False) -> dict[str, Parameter]:
    """A map of InferParameter as a plain dict, checked as REST's are."""
    if len(given) > MAX_PARAMETERS:
        raise fail(where, f"at most {MAX_PARAMETERS} parameters")
    parameters: dict[str, Parameter] = {}
    for name, value in given.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is None:
            raise fail(f"{where}.{name[:60]}", "a string, a number or a boolean", None)
        parameters[name] = getattr(value, choice)
    return checked_parameters(parameters, where, of_output=of_output)


def fill_parameters(target: Any, parameters: Parameters, where: str) -> None:
    """Writes a dict into a map of InferParameter: fractions as Triton's `double_param`, integers by their size."""
    for name, value in parameters.items():
        if isinstance(value, bool):
            target[name].bool_param = value
        elif isinstance(value, str):
            target[name].string_param = value
        elif isinstance(value, float):
            target[name].double_param = value
        elif -(1 << 63) <= value < 1 << 63:
            target[name].int64_param = value
        elif 0 <= value < 1 << 64:
            target[name].uint64_param = value
        else:
            raise refuse(f"{where}.{name}", "the number does not fit into 64 bits")
