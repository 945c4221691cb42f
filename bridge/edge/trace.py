"""The trace that a request to the bridge belongs to already, where a gateway in front of it began one."""

from __future__ import annotations

from starlette.types import Scope

from kelp import tracing

_HEADER = tracing.HEADER.encode()


def parent_of(scope: Scope) -> str | None:
    """The `traceparent` that the request came with; None while tracing is off."""
    if not tracing.is_on():
        return None
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER), None)
