"""Sizes and amounts as Kubernetes writes them: `500m`, `16Gi`, `64MiB`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(k|M|G|T|Ki|Mi|Gi|Ti)?B?$")
_AMOUNT = re.compile(r"^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")


def parse_size(value: Any) -> int:
    """Bytes of `64Mi`, `64MiB`, `500M` or a plain number. ValueError says what was expected."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("expected a size such as 64Mi or a number of bytes")
    match = _SIZE.match(str(value).strip())
    if match is None:
        raise ValueError(f"expected a size such as 64Mi or a number of bytes, got {value!r}")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def _check_amount(value: Any) -> str:
    text = str(value).strip()
    if isinstance(value, bool) or not _AMOUNT.match(text):
        raise ValueError(f"expected a Kubernetes quantity such as 2, 500m or 16Gi, got {value!r}")
    return text


Bytes = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _SIZE.pattern}]}),
]
Quantity = Annotated[
    str,
    BeforeValidator(_check_amount),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _AMOUNT.pattern}]}),
]
