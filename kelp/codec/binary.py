"""Tensors as raw bytes: REST's binary extension and gRPC's raw contents.

Numbers lie row-major and little-endian; BOOL is one byte, 0 or 1; a BYTES element is its length as a little-endian
unsigned 32-bit number, then its bytes. Source: the Open Inference Protocol, "Tensor Data"; Triton's "Binary Tensor
Data Extension".
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.codec.datatypes import Datatype
from kelp.codec.fail import fail, refuse
from kelp.codec.tensor import Buffer, Tensor

_LENGTH = struct.Struct("<I")
_SMALL = 1 << 15


def array_from(view: memoryview, kind: Datatype, shape: tuple[int, ...], count: int, where: str) -> NDArray[Any]:
    """A read-only array of `shape` on `view`'s memory.

    Copied only where no view is possible or safe: BF16 (widened to float32), and numbers of several bytes that lie
    unaligned, which C extensions may not be given; image bytes never do. InvalidRequest where sizes disagree.
    """
    if len(view) != count * kind.itemsize:
        raise refuse(where, f"expected {count * kind.itemsize} bytes ({kind.name} {list(shape)}), got {len(view)}")
    if kind.name == "BF16":
        wide = np.frombuffer(view, "<u2").astype("<u4")
        wide <<= 16
        array: NDArray[Any] = wide.view("<f4")
    else:
        array = np.frombuffer(view, kind.dtype)
        if kind.kind == "bool" and count and int(array.view(np.uint8).max()) > 1:
            at = int(np.argmax(array.view(np.uint8) > 1))
            raise fail(f"{where}, element {at}", "0 or 1", int(view[at]))
        if not array.flags.aligned:
            array = array.copy()
    array = array.reshape(shape)
    array.flags.writeable = False
    return array


def elements_from(view: memoryview, count: int, where: str) -> list[memoryview]:
    """The `count` elements of a BYTES tensor, each a slice of `view`. InvalidRequest naming the first wrong one."""
    elements: list[memoryview] = []
    offset, end = 0, len(view)
    for index in range(count):
        if offset + 4 > end:
            raise refuse(where, f"expected {count} elements, the data ends after {index}")
        start = offset + 4
        offset = start + _LENGTH.unpack_from(view, offset)[0]
        if offset > end:
            raise refuse(
                f"{where}, element {index}", f"its length is {offset - start}, only {end - start} bytes are left"
            )
        elements.append(view[start:offset])
    if offset != end:
        raise refuse(where, f"{end - offset} bytes are left over after {count} elements")
    return elements


def tensor_from(
    view: memoryview, name: str, kind: Datatype, shape: tuple[int, ...], count: int, where: str, parameters: Any
) -> Tensor:
    """The tensor whose raw bytes are `view`."""
    data: NDArray[Any] | Sequence[Buffer] = (
        elements_from(view, count, where) if kind.kind == "bytes" else array_from(view, kind, shape, count, where)
    )
    return Tensor(name, kind.name, shape, data, parameters)


def buffers_of(tensor: Tensor) -> tuple[list[Buffer], int]:
    """The tensor's raw bytes as buffers to be written one after another, and their size; nothing large is copied."""
    if not isinstance(tensor.data, np.ndarray):
        buffers: list[Buffer] = []
        size = 4 * len(tensor.data)
        for element in tensor.data:
            flat = element if isinstance(element, (bytes, bytearray)) else memoryview(element).cast("B")
            buffers += (_LENGTH.pack(len(flat)), flat)
            size += len(flat)
        return buffers, size
    array = tensor.data
    if tensor.datatype == "BF16":
        array = _bf16_bits(array)
    elif sys.byteorder == "big" or array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    flat_bytes = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return [flat_bytes.data], flat_bytes.size


def gather(buffers: Iterable[Buffer]) -> list[Buffer]:
    """The same bytes in few buffers: neighbours that are small are put together, large ones pass untouched."""
    gathered: list[Buffer] = []
    small = bytearray()
    for buffer in buffers:
        if len(buffer) <= _SMALL:
            small += buffer
            continue
        if small:
            gathered.append(bytes(small))
            small = bytearray()
        gathered.append(buffer)
    if small:
        gathered.append(bytes(small))
    return gathered


def _bf16_bits(array: NDArray[Any]) -> NDArray[Any]:
    """float32 rounded to the nearest bfloat16, ties to even, as its 16 bits; NaN stays NaN."""
    bits = np.ascontiguousarray(array, "<f4").view("<u4")
    rounded = ((bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16).astype("<u2")
    return np.where(np.isnan(array), ((bits >> 16) | np.uint32(0x40)).astype("<u2"), rounded)
