"""Columns that hold an array: little-endian, so that any machine reads what another wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def pack_ids(ids: Iterable[int]) -> bytes:
    """int64."""
    return np.fromiter(ids, "<i8").tobytes()


def unpack_ids(blob: bytes) -> list[int]:
    ids: list[int] = np.frombuffer(blob, "<i8").tolist()
    return ids


def pack_keys(keys: Sequence[tuple[int, int]]) -> bytes:
    """int32 [n, 2]: frame, place within it."""
    return np.array(keys, "<i4").tobytes()


def unpack_keys(blob: bytes) -> list[tuple[int, int]]:
    return [(frame, index) for frame, index in np.frombuffer(blob, "<i4").reshape(-1, 2).tolist()]


def pack_lengths(lengths: Iterable[int]) -> bytes:
    return np.fromiter(lengths, "<i4").tobytes()


def pack_scores(scores: Iterable[float]) -> bytes:
    return np.fromiter(scores, "<f4").tobytes()


def unpack_scores(blob: bytes) -> list[float]:
    return [round(score, 4) for score in np.frombuffer(blob, "<f4").tolist()]


def cut(blob: bytes, lengths: bytes) -> list[bytes]:
    """`blob` in pieces of the given (packed) lengths."""
    ends: NDArray[np.int64] = np.cumsum(np.frombuffer(lengths, "<i4"), dtype=np.int64)
    starts = [0, *ends[:-1].tolist()]
    return [blob[start:end] for start, end in zip(starts, ends.tolist(), strict=False)]
