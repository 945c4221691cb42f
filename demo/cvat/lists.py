"""Lists: simple filters, the JSON filter, search, sorting, pages."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from demo.cvat import clock
from demo.cvat.errors import Refusal, bad_request, server_error
from demo.cvat.tables import Json

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from demo.cvat.http import Call

Row = TypeVar("Row")
Terms = Mapping[str, Callable[[Row], Any]]
"""What a list can be filtered and sorted by: the term and its value in a row."""

DATES = ("created_date", "updated_date")


def select(rows: Iterable[Row], query: QueryParams, simple: Terms[Row], terms: Terms[Row]) -> list[Row]:
    """`rows` filtered by the parameters in `simple` and by `filter`; sorted, the newest first where nothing is said.

    Parameters the server does not know are ignored, as in the original.
    """
    chosen = list(rows)
    for name, value_of in simple.items():
        if name in query:
            chosen = [row for row in chosen if str(value_of(row)) == query[name]]
    if query.get("search"):
        needle = query["search"].lower()
        chosen = [row for row in chosen if any(needle in str(value(row)).lower() for value in terms.values())]
    if query.get("filter"):
        expression = _parsed(query["filter"])
        chosen = [row for row in chosen if _holds(expression, row, terms)]
        if not chosen:
            _check_terms(expression, terms)
    return _sorted(chosen, query.get("sort", ""), terms)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise bad_request([f"filter: can't parse filter expression: {error}"]) from None


def _sorted(rows: list[Row], sort: str, terms: Terms[Row]) -> list[Row]:
    name = sort.removeprefix("-")
    if name not in terms:
        name, sort = "id", "-id"
    return sorted(rows, key=lambda row: terms[name](row), reverse=sort.startswith("-"))


def _check_terms(expression: Any, terms: Terms[Row]) -> None:
    if isinstance(expression, dict):
        for key, value in expression.items():
            if key == "var" and value not in terms:
                raise bad_request([f"filter: '{value}' term is not supported"])
            _check_terms(value, terms)
    elif isinstance(expression, list):
        for item in expression:
            _check_terms(item, terms)


def _holds(expression: Any, row: Row, terms: Terms[Row]) -> bool:
    _check_terms(expression, terms)
    if not isinstance(expression, dict) or len(expression) != 1:
        raise bad_request(["filter: can't parse filter expression"])
    operator, operands = next(iter(expression.items()))
    if operator == "and":
        return all(_holds(item, row, terms) for item in operands)
    if operator == "or":
        return any(_holds(item, row, terms) for item in operands)
    if operator == "!":
        return not _holds(operands[0] if isinstance(operands, list) else operands, row, terms)
    values = [_value(item, row, terms) for item in operands]
    if operator == "==":
        return bool(values[0] == values[1])
    if operator == "in":
        return values[0] in values[1]
    if operator in ("<=", ">="):
        dates = _ordered(operands, values)
        return all(a <= b if operator == "<=" else a >= b for a, b in itertools.pairwise(dates))
    raise bad_request([f"filter: '{operator}' operation is not supported"])


def _value(operand: Any, row: Row, terms: Terms[Row]) -> Any:
    return terms[operand["var"]](row) if isinstance(operand, dict) else operand


def _ordered(operands: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    if not any(isinstance(item, dict) and item.get("var") in DATES for item in operands):
        return list(values)
    try:
        return [clock.parse(value) for value in values]
    except ValueError:
        raise server_error() from None


def page(call: Call, rows: Sequence[Row], view: Callable[[Row], Json]) -> Json:
    """One page of `rows` in the server's envelope."""
    try:
        number, size = int(call.query.get("page", "1")), int(call.query.get("page_size", "0")) or 10
    except ValueError:
        raise Refusal(404, {"detail": "Invalid page."}) from None
    first = (number - 1) * size
    if number < 1 or (number > 1 and first >= len(rows)):
        raise Refusal(404, {"detail": "Invalid page."})
    return {
        "count": len(rows),
        "next": _address(call, number + 1) if first + size < len(rows) else None,
        "previous": _address(call, number - 1) if number > 1 else None,
        "results": [view(row) for row in rows[first : first + size]],
    }


def _address(call: Call, number: int) -> str:
    query = {key: value for key, value in call.query.multi_items() if key != "page"}
    if number > 1:
        query["page"] = str(number)
    text = urlencode(sorted(query.items()))
    return f"{call.base}{call.request.url.path}" + (f"?{text}" if text else "")
