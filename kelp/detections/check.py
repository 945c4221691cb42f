"""Shape and type checks for arrays at the edges of `kelp.detections`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def array(value: NDArray[Any], name: str, dtype: Any, shape: tuple[int | None, ...]) -> None:
    """ValueError unless `value` is an array of `dtype` and `shape` (None = any length)."""
    given = getattr(value, "shape", None)
    fits = (
        isinstance(value, np.ndarray)
        and value.dtype == dtype
        and value.ndim == len(shape)
        and all(want is None or want == have for want, have in zip(shape, value.shape, strict=True))
    )
    if not fits:
        wanted = "x".join("?" if n is None else str(n) for n in shape)
        raise ValueError(
            f"{name}: expected {np.dtype(dtype).name} [{wanted}], got {getattr(value, 'dtype', type(value).__name__)} "
            f"{list(given) if given is not None else ''}".rstrip()
        )


def offsets(value: NDArray[np.int32], name: str, count: int, total: int) -> None:
    """ValueError unless `value` is int32 [count + 1], starts at 0, never falls and ends at `total`."""
    array(value, name, np.int32, (count + 1,))
    if value[0] != 0 or value[-1] != total or (count and int(np.diff(value).min()) < 0):
        raise ValueError(f"{name}: expected offsets that rise from 0 to {total}")
