"""The tensors of a REST message: their JSON description, and the binary part that may follow it."""

from __future__ import annotations

from typing import Any

from kelp.codec.binary import tensor_from
from kelp.codec.datatypes import datatype_named
from kelp.codec.fail import fail, refuse
from kelp.codec.json_tensors import tensor_from_json
from kelp.codec.limits import MAX_TENSORS
from kelp.codec.parameters import checked_parameters
from kelp.codec.shapes import checked_name, checked_shape
from kelp.codec.tensor import Tensor

_TENSOR_MEMBERS = {"name", "datatype", "shape", "data", "parameters"}


class BinaryPart:
    """What follows the JSON, handed out tensor by tensor in the order of their description."""

    def __init__(self, view: memoryview, *, present: bool) -> None:
        self._view = view
        self._present = present
        self._offset = 0

    def take(self, size: object, where: str) -> memoryview:
        if type(size) is not int or size < 0:
            raise fail(where, "a number of bytes", size)
        if not self._present:
            raise refuse(where, "no binary data follows: the header Inference-Header-Content-Length is missing")
        left = len(self._view) - self._offset
        if size > left:
            raise refuse(where, f"it says {size} bytes, only {left} are left in the body")
        start, self._offset = self._offset, self._offset + size
        return self._view[start : self._offset]

    def finish(self) -> None:
        left = len(self._view) - self._offset
        if left:
            raise refuse("body", f"{left} bytes are left over after the last binary tensor")


def members(value: object, where: str, known: set[str] | None) -> dict[str, Any]:
    """A JSON object; where `known` is given, one that has no other members."""
    if not isinstance(value, dict):
        raise fail(where, "an object", value)
    if known is not None:
        for name in value:
            if name not in known:
                raise refuse(where, f"unknown member {name[:60]!r}; there are: {', '.join(sorted(known))}")
    return value


def text_member(given: dict[str, Any], name: str, default: str) -> str:
    """An optional string member; null is as good as missing."""
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise fail(name, "a string", value)
    return value


def read_tensors(given: dict[str, Any], key: str, rest: BinaryPart, *, strict: bool) -> tuple[Tensor, ...]:
    """The tensors under `key`. `strict`: at least one, and no unknown members (requests)."""
    if key not in given:
        raise refuse("body", f"{key} is missing")
    items = given[key]
    if not isinstance(items, list):
        raise fail(key, "a list", items)
    if strict and not items:
        raise fail(key, "at least one tensor", items)
    if len(items) > MAX_TENSORS:
        raise fail(key, f"at most {MAX_TENSORS} tensors", items)
    seen: set[str] = set()
    return tuple(_tensor(item, f"{key}[{index}]", seen, rest, strict) for index, item in enumerate(items))


def _tensor(item: object, where: str, seen: set[str], rest: BinaryPart, strict: bool) -> Tensor:
    given = members(item, where, _TENSOR_MEMBERS if strict else None)
    for required in ("name", "datatype", "shape"):
        if required not in given:
            raise refuse(where, f"{required} is missing")
    name = checked_name(given["name"], f"{where}.name", seen)
    kind = datatype_named(given["datatype"], f"{where}.datatype")
    if not isinstance(given["shape"], list):
        raise fail(f"{where}.shape", "a list of sizes", given["shape"])
    shape, count = checked_shape(given["shape"], kind, f"{where}.shape")
    parameters = checked_parameters(given.get("parameters"), f"{where}.parameters")
    if "binary_data_size" not in parameters:
        if "data" not in given:
            raise refuse(where, "data is missing (and parameters.binary_data_size too)")
        return tensor_from_json(given["data"], name, kind, shape, count, f"{where}.data", parameters)
    if given.get("data") is not None:
        raise refuse(where, "it has both data and parameters.binary_data_size")
    view = rest.take(parameters["binary_data_size"], f"{where}.parameters.binary_data_size")
    own = {key: value for key, value in parameters.items() if key != "binary_data_size"}
    return tensor_from(view, name, kind, shape, count, f"{where}, binary data", own)
