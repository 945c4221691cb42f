"""Parameters of a request, an input or an output, as REST and gRPC give them."""

from __future__ import annotations

from kelp.codec.fail import fail, refuse
from kelp.codec.limits import MAX_PARAMETERS
from kelp.codec.tensor import Parameter

_SHARED_MEMORY = "shared_memory_"


def checked_parameters(value: object, where: str, *, of_output: bool = False) -> dict[str, Parameter]:
    """A JSON object of strings, numbers and booleans; null is none.

    V2's and Triton's own names pass, but those that would change what is read or answered are an InvalidRequest:
    `shared_memory_*`, and an output's `classification`.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise fail(where, "an object", value)
    if len(value) > MAX_PARAMETERS:
        raise fail(where, f"at most {MAX_PARAMETERS} parameters")
    for name, given in value.items():
        refuse_parameter(name, f"{where}.{name[:60]}", of_output=of_output)
        if not isinstance(given, (str, bool, int, float)):
            raise fail(f"{where}.{name[:60]}", "a string, a number or a boolean", given)
    if of_output and not isinstance(value.get("binary_data", False), bool):
        raise fail(f"{where}.binary_data", "true or false", value["binary_data"])
    return value


def refuse_parameter(name: str, where: str, *, of_output: bool = False) -> None:
    """InvalidRequest for the parameters that no server of Kelp honours and that may not be ignored."""
    if name.startswith(_SHARED_MEMORY):
        raise refuse(where, "shared memory is not supported; send the data in the message")
    if of_output and name == "classification":
        raise refuse(where, "classification is not supported; read the scores from the output")
