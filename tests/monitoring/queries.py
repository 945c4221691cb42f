"""PromQL taken apart: which series a query asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser


class Selector(NamedTuple):
    """matchers: (label, operator as text, value)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(query: str) -> list[Selector]:
    """ValueError where `query` is no PromQL."""
    return list(_walk(promql_parser.parse(query)))


def _walk(node: Any) -> Iterator[Selector]:
    if isinstance(node, promql_parser.VectorSelector):
        found = tuple((m.name, str(m.op), m.value) for m in node.matchers.matchers)
        yield Selector(node.name, found)
        return
    for part in ("lhs", "rhs", "expr", "vector_selector", "args", "param"):
        below = getattr(node, part, None)
        for child in below if isinstance(below, list) else [below]:
            if child is not None:
                yield from _walk(child)
