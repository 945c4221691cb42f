"""Tensors as lists in JSON, flat or nested.

BYTES elements are UTF-8 text, except those of tensors named `image` and `mask`, which are base64. FP16 and BF16 have
no JSON form (as with KServe and Triton). Source: the Open Inference Protocol, "Tensor Data".
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.codec.datatypes import Datatype
from kelp.codec.fail import fail, refuse
from kelp.codec.tensor import Buffer, Tensor

BASE64_TENSORS = frozenset({"image", "mask"})
"""BYTES tensors whose elements are files: base64 in JSON."""

_JSON_TYPES: dict[str, frozenset[type]] = {
    "bool": frozenset({bool}),
    "int": frozenset({int}),
    "float": frozenset({int, float}),
    "bytes": frozenset({str}),
}


def tensor_from_json(
    data: object, name: str, kind: Datatype, shape: tuple[int, ...], count: int, where: str, parameters: Any
) -> Tensor:
    """The tensor that a JSON `data` list holds. InvalidRequest pointing at the element that does not fit."""
    if not isinstance(data, list):
        raise fail(where, "a list", data)
    if not kind.contents:
        raise refuse(where, f"{kind.name} has no JSON form; send it as binary data")
    flat, nested = _flattened(data, shape, count, where)
    if not _JSON_TYPES[kind.kind].issuperset(map(type, flat)):
        index = next(i for i, value in enumerate(flat) if type(value) not in _JSON_TYPES[kind.kind])
        raise fail(_place(where, index, shape, nested), kind.expected(), flat[index])
    if kind.kind == "bytes":
        return Tensor(name, kind.name, shape, _elements(flat, name, shape, nested, where), parameters)
    array = _array(flat, kind, shape, nested, where).reshape(shape)
    array.flags.writeable = False
    return Tensor(name, kind.name, shape, array, parameters)


def json_data(tensor: Tensor, where: str) -> NDArray[Any] | list[str]:
    """What orjson writes as the tensor's flat `data`. InvalidRequest where the tensor has no JSON form."""
    if not isinstance(tensor.data, np.ndarray):
        return [_text(element, tensor.name, f"{where}.data[{i}]") for i, element in enumerate(tensor.data)]
    if tensor.datatype in ("FP16", "BF16"):
        raise refuse(where, f"{tensor.datatype} has no JSON form; ask for it as binary data")
    array = tensor.data
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise refuse(where, "NaN and infinity have no JSON form; ask for the tensor as binary data")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(-1)


def containers_in(view: memoryview) -> int:
    """How many `[` and `{` a JSON text has, those inside of strings included; counted without parsing it."""
    whole = view.obj
    text = whole if isinstance(whole, (bytes, bytearray)) and len(whole) == len(view) else bytes(view)
    return text.count(b"[") + text.count(b"{")


def _flattened(data: list[Any], shape: tuple[int, ...], count: int, where: str) -> tuple[list[Any], bool]:
    """All elements in row-major order, and whether the list was nested as `shape` says."""
    nested = len(shape) > 1 and bool(data) and isinstance(data[0], list)
    if not nested:
        if len(data) == count:
            return data, False
        raise refuse(where, f"expected {count} elements (shape {list(shape)}), got {len(data)}")
    level = data
    for axis, size in enumerate(shape):
        if axis == 0:
            if len(data) != size:
                raise refuse(where, f"expected {size} elements (shape {list(shape)}), got {len(data)}")
            continue
        for index, row in enumerate(level):
            if type(row) is not list or len(row) != size:
                raise fail(_place(where, index, shape[:axis], True), f"a list of {size}", row)
        level = list(chain.from_iterable(level))
    return level, True


def _place(where: str, index: int, shape: tuple[int, ...], nested: bool) -> str:
    """The path of the element with that flat index."""
    if not nested:
        return f"{where}[{index}]"
    path = ""
    for size in reversed(shape):
        index, here = divmod(index, size)
        path = f"[{here}]{path}"
    return where + path


def _array(flat: list[Any], kind: Datatype, shape: tuple[int, ...], nested: bool, where: str) -> NDArray[Any]:
    try:
        if kind.kind != "float":
            return np.array(flat, kind.dtype)
        with np.errstate(over="ignore"):
            array = np.array(flat, np.float64).astype(kind.dtype, copy=False)
        if np.isfinite(array).all():
            return array
        index = int(np.argmin(np.isfinite(array)))
        expected = f"a finite number that {kind.name} can hold"
    except OverflowError:
        index = next(i for i, value in enumerate(flat) if not kind.minimum <= value <= kind.maximum)
        expected = kind.expected()
    raise fail(_place(where, index, shape, nested), expected, flat[index])


def _elements(flat: list[str], name: str, shape: tuple[int, ...], nested: bool, where: str) -> Sequence[Buffer]:
    if name not in BASE64_TENSORS:
        return [text.encode() for text in flat]
    elements: list[Buffer] = []
    for index, text in enumerate(flat):
        try:
            elements.append(binascii.a2b_base64(text, strict_mode=True))
        except ValueError as error:
            raise refuse(_place(where, index, shape, nested), f"expected base64 ({error})") from error
    return elements


def _text(element: Buffer, name: str, where: str) -> str:
    if name in BASE64_TENSORS:
        return binascii.b2a_base64(element, newline=False).decode("ascii")
    try:
        return str(element, "utf-8")
    except UnicodeDecodeError as error:
        raise refuse(where, "bytes that are not UTF-8 have no JSON form; use binary data") from error
