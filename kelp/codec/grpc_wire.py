"""Protobuf's wire format at the top of a message, read without parsing what lies below.

Tensors of many megabytes pass as slices of the message, where protobuf itself would copy them twice; a proxy reads
the model's name alone. Source: protobuf's "Encoding" page. Malformed bytes are an InvalidRequest.
"""

from __future__ import annotations

from collections.abc import Iterator

from kelp.codec.fail import refuse
from kelp.codec.limits import MAX_FIELDS
from kelp.codec.tensor import Buffer

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {FIXED64: 8, FIXED32: 4}
_MODEL_NAME = 1


def fields_of(view: memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """Each top-level field as (number, wire type, where it starts, where its content starts, where it ends)."""
    offset, end = 0, len(view)
    for _ in range(MAX_FIELDS):
        if offset == end:
            return
        start = offset
        tag, offset = _varint(view, offset)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise _malformed(start, f"there is no field {number}")
        content = offset
        if wire_type == VARINT:
            _, offset = _varint(view, offset)
        elif wire_type == LENGTH_DELIMITED:
            size, content = _varint(view, offset)
            offset = content + size
        elif wire_type in _FIXED_SIZE:
            offset += _FIXED_SIZE[wire_type]
        else:
            raise _malformed(start, f"wire type {wire_type} is not proto3's")
        if offset > end:
            raise _malformed(start, f"field {number} ends {offset - end} bytes after the message")
        yield number, wire_type, start, content, offset
    if offset != end:
        raise refuse("message", f"it has more than {MAX_FIELDS} fields")


def split_repeated_bytes(raw: Buffer, field: int) -> tuple[bytes, list[memoryview]]:
    """The message without that repeated bytes field, and the field's elements as slices of `raw`."""
    view = memoryview(raw).cast("B")
    kept: list[memoryview] = []
    taken: list[memoryview] = []
    for number, wire_type, start, content, end in fields_of(view):
        if number == field and wire_type == LENGTH_DELIMITED:
            taken.append(view[content:end])
        else:
            kept.append(view[start:end])
    return b"".join(kept), taken


def join_repeated_bytes(message: bytes, field: int, elements: list[list[Buffer]]) -> bytes:
    """`message` followed by that repeated bytes field; each element is given as its parts. One copy of the data."""
    parts: list[Buffer] = [message]
    for element in elements:
        parts.append(_varint_bytes(field << 3 | LENGTH_DELIMITED) + _varint_bytes(sum(map(len, element))))
        parts += element
    return b"".join(parts)


def model_name_of(raw: Buffer) -> str:
    """The model's name in a serialized ModelInferRequest (or any request whose field 1 is the model's name).

    Only the lengths of the other fields are read. InvalidRequest where the bytes are no message, the name is missing,
    given twice (a second reader could take the other one) or not UTF-8.
    """
    view = memoryview(raw).cast("B")
    name: str | None = None
    for number, wire_type, _, content, end in fields_of(view):
        if number != _MODEL_NAME:
            continue
        if wire_type != LENGTH_DELIMITED:
            raise refuse("model_name", "expected a string")
        if name is not None:
            raise refuse("model_name", "it is given twice")
        try:
            name = str(view[content:end], "utf-8")
        except UnicodeDecodeError as error:
            raise refuse("model_name", "expected UTF-8 text") from error
    if not name:
        raise refuse("model_name", "it is missing")
    return name


def _varint(view: memoryview, offset: int) -> tuple[int, int]:
    """The number at `offset`, of at most ten bytes and 64 bits, and where it ends."""
    value = 0
    for position in range(10):
        if offset + position >= len(view):
            break
        byte = view[offset + position]
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, offset + position + 1
    raise _malformed(offset, "a number does not end")


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _malformed(offset: int, reason: str) -> Exception:
    return refuse(f"message, byte {offset}", f"not valid protobuf: {reason}")
