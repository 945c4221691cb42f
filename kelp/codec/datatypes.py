"""V2's datatypes: how each lies on the wire, in numpy and in gRPC's typed contents.

Source: the Open Inference Protocol, "Tensor Data Types"; BF16 is Triton's addition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kelp.codec.fail import fail

Kind = Literal["bool", "int", "float", "bytes"]


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype.

    dtype: numpy's, little-endian as on the wire (BF16 is held as float32: numpy has no such type); object for BYTES.
    itemsize: bytes an element takes on the wire; 0 for BYTES, whose elements carry their own length.
    contents: the field of gRPC's InferTensorContents; empty where only raw contents can carry it, nor can JSON then.
    minimum, maximum: of integers, inclusive.
    """

    name: str
    kind: Kind
    dtype: np.dtype[Any]
    itemsize: int
    contents: str
    minimum: int = 0
    maximum: int = 0

    def expected(self) -> str:
        """What one element looks like in JSON or typed contents, for messages."""
        if self.kind == "int":
            return f"an integer from {self.minimum} to {self.maximum}"
        return {"bool": "true or false", "float": "a finite number", "bytes": "a string"}[self.kind]


def _integer(name: str, code: str, contents: str) -> Datatype:
    dtype = np.dtype(f"<{code}")
    bounds = np.iinfo(dtype)
    return Datatype(name, "int", dtype, dtype.itemsize, contents, int(bounds.min), int(bounds.max))


DATATYPES: dict[str, Datatype] = {
    kind.name: kind
    for kind in (
        Datatype("BOOL", "bool", np.dtype(np.bool_), 1, "bool_contents"),
        _integer("UINT8", "u1", "uint_contents"),
        _integer("UINT16", "u2", "uint_contents"),
        _integer("UINT32", "u4", "uint_contents"),
        _integer("UINT64", "u8", "uint64_contents"),
        _integer("INT8", "i1", "int_contents"),
        _integer("INT16", "i2", "int_contents"),
        _integer("INT32", "i4", "int_contents"),
        _integer("INT64", "i8", "int64_contents"),
        Datatype("FP16", "float", np.dtype("<f2"), 2, ""),
        Datatype("BF16", "float", np.dtype("<f4"), 2, ""),
        Datatype("FP32", "float", np.dtype("<f4"), 4, "fp32_contents"),
        Datatype("FP64", "float", np.dtype("<f8"), 8, "fp64_contents"),
        Datatype("BYTES", "bytes", np.dtype(object), 0, "bytes_contents"),
    )
}
BYTES = DATATYPES["BYTES"]
_BY_DTYPE = {d.dtype: d.name for d in DATATYPES.values() if d.kind != "bytes" and d.name != "BF16"}


def datatype_named(name: object, where: str) -> Datatype:
    """The datatype of that name; InvalidRequest that points at `where` if there is none."""
    found = DATATYPES.get(name) if isinstance(name, str) else None
    if found is None:
        raise fail(where, "one of " + ", ".join(DATATYPES), name)
    return found


def datatype_of(dtype: np.dtype[Any]) -> str:
    """V2's name for a numpy dtype of either byte order. ValueError where V2 has none."""
    found = _BY_DTYPE.get(dtype.newbyteorder("<"))
    if found is None:
        raise ValueError(f"V2 has no datatype for numpy's {dtype}")
    return found
