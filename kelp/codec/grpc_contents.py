"""Tensors as gRPC's typed contents, one repeated field a datatype."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.codec.datatypes import Datatype, datatype_named
from kelp.codec.fail import fail, refuse
from kelp.codec.tensor import Tensor


def tensor_from_contents(
    contents: Any, name: str, kind: Datatype, shape: tuple[int, ...], count: int, where: str, parameters: Any
) -> Tensor:
    """The tensor in an InferTensorContents. InvalidRequest unless its datatype's field alone fills the shape."""
    for field, _ in contents.ListFields():
        if field.name != kind.contents:
            expected = kind.contents or "raw contents, the only form it has"
            raise refuse(f"{where}.contents.{field.name}", f"{kind.name} expects {expected}")
    if not kind.contents:
        raise refuse(f"{where}.contents", f"{kind.name} has no typed form; send raw contents")
    values = getattr(contents, kind.contents)
    place = f"{where}.contents.{kind.contents}"
    if len(values) != count:
        raise refuse(place, f"expected {count} elements (shape {list(shape)}), got {len(values)}")
    if kind.kind == "bytes":
        return Tensor(name, kind.name, shape, list(values), parameters)
    if kind.kind == "int":
        wide = np.fromiter(values, np.uint64 if kind.minimum == 0 else np.int64, count)
        if count and (wide.min() < kind.minimum or wide.max() > kind.maximum):
            index = int(np.argmax((wide < kind.minimum) | (wide > kind.maximum)))
            raise fail(f"{place}[{index}]", kind.expected(), int(wide[index]))
        array: NDArray[Any] = wide.astype(kind.dtype, copy=False).reshape(shape)
    else:
        array = np.fromiter(values, kind.dtype, count).reshape(shape)
    array.flags.writeable = False
    return Tensor(name, kind.name, shape, array, parameters)


def fill_contents(contents: Any, tensor: Tensor, where: str) -> None:
    """Writes the tensor into an InferTensorContents. InvalidRequest where it has no typed form."""
    kind = datatype_named(tensor.datatype, f"{where}.datatype")
    if not kind.contents:
        raise refuse(where, f"{kind.name} has no typed form; send raw contents")
    field = getattr(contents, kind.contents)
    field.extend(tensor.data.reshape(-1).tolist() if isinstance(tensor.data, np.ndarray) else map(bytes, tensor.data))
