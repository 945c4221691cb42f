"""One named tensor, as both sides of the wire hold it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kelp.codec.datatypes import DATATYPES, datatype_of
from kelp.codec.fail import refuse

Buffer = bytes | bytearray | memoryview
Parameter = bool | int | float | str
Parameters = Mapping[str, Parameter]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of V2.

    name, datatype: V2's; shape: () is a scalar; parameters: the tensor's own (`binary_data_size` is never among them).
    data: for BYTES a flat sequence of bytes-like elements in row-major order, else a numpy array of exactly `shape`.
    What the codec decoded is read-only and, wherever numpy allows it, a view of the message's body. BF16 is held as
    float32. Raises ValueError naming the tensor where data, shape and datatype disagree.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: NDArray[Any] | Sequence[Buffer]
    parameters: Parameters = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = DATATYPES.get(self.datatype)
        if kind is None:
            raise ValueError(f"tensor {self.name!r}: V2 has no datatype {self.datatype!r}")
        if kind.kind == "bytes":
            if isinstance(self.data, np.ndarray):
                raise ValueError(f"tensor {self.name!r}: BYTES holds a flat sequence of bytes, not an array")
            if len(self.data) != math.prod(self.shape):
                raise ValueError(f"tensor {self.name!r}: {len(self.data)} elements do not fill shape {self.shape}")
        elif (
            not isinstance(self.data, np.ndarray)
            or self.data.shape != tuple(self.shape)
            or self.data.dtype.newbyteorder("<") != kind.dtype
        ):
            given = f"{getattr(self.data, 'dtype', type(self.data).__name__)} {list(getattr(self.data, 'shape', ()))}"
            raise ValueError(f"tensor {self.name!r}: expected {kind.dtype.name} {list(self.shape)}, got {given}")

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.datatype}, {list(self.shape)})"

    @classmethod
    def from_array(cls, name: str, array: ArrayLike, parameters: Parameters | None = None) -> Tensor:
        """A tensor of a numeric or boolean array; its datatype follows the dtype. ValueError where V2 has none."""
        values = np.asarray(array)
        return cls(name, datatype_of(values.dtype), values.shape, values, parameters or {})

    @classmethod
    def from_bytes(
        cls,
        name: str,
        elements: Sequence[Buffer | str],
        shape: tuple[int, ...] | None = None,
        parameters: Parameters | None = None,
    ) -> Tensor:
        """A BYTES tensor; str elements become UTF-8. `shape` is [len(elements)] unless given."""
        flat = [e.encode() if isinstance(e, str) else e for e in elements]
        return cls(name, "BYTES", (len(flat),) if shape is None else shape, flat, parameters or {})

    @property
    def array(self) -> NDArray[Any]:
        """The numeric data. InvalidRequest naming the tensor where it is BYTES."""
        if not isinstance(self.data, np.ndarray):
            raise refuse(self.name, "expected numbers, got BYTES")
        return self.data

    @property
    def elements(self) -> Sequence[Buffer]:
        """The elements of a BYTES tensor, flat. InvalidRequest naming the tensor where it holds numbers."""
        if isinstance(self.data, np.ndarray):
            raise refuse(self.name, f"expected BYTES, got {self.datatype}")
        return self.data

    def texts(self) -> list[str]:
        """The elements of a BYTES tensor as UTF-8 text. InvalidRequest naming the element that is not."""
        found = []
        for index, element in enumerate(self.elements):
            try:
                found.append(str(element, "utf-8"))
            except UnicodeDecodeError as error:
                raise refuse(f"{self.name}[{index}]", "expected UTF-8 text") from error
        return found
