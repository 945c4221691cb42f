"""How the codec says what is wrong: where, what was expected, what was there."""

from __future__ import annotations

from kelp.errors import InvalidRequest

_LONGEST_SHOWN = 60


class _Nothing:
    """Stands for "no value to show"."""


NOTHING = _Nothing()


def shown(value: object) -> str:
    """`value` as a JSON reader would call it, short enough for a message and never the whole input."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def fail(where: str, expected: str, got: object = NOTHING) -> InvalidRequest:
    """The error `where: expected …, got …`, to be raised; `where` is a path such as `inputs[0].shape[1]`."""
    tail = "" if got is NOTHING else f", got {shown(got)}"
    return InvalidRequest(f"{where}: expected {expected}{tail}")


def refuse(where: str, reason: str) -> InvalidRequest:
    """The error `where: reason`, to be raised."""
    return InvalidRequest(f"{where}: {reason}")
