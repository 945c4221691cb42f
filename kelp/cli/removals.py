"""What an inpainter is to remove from each picture: a mask, or the lines through a grid's points."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.cli.exits import UsageError

_MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".webp", ".jpg", ".jpeg")
_EDGE = 0.04  # of the picture's side, in a grid that nobody measured


@dataclass(frozen=True, slots=True)
class Removal:
    """mask: an encoded picture, non-zero where to remove; points: float32 [K, 2], x y in pixels. One of them."""

    mask: bytes | None = None
    points: NDArray[np.float32] | None = None


def removals_of(files: Sequence[Path], mask: Path | None, points: Path | None) -> list[Removal] | None:
    """One for each of `files`; None where neither was given. UsageError names what is missing or cannot be read.

    mask: a file for all of them, or a folder with a file of each one's name. points: JSON: a list of [x, y] for all of
    them, or name → such a list, or what `kelp infer -o json` prints of a pose model.
    """
    if mask is not None and points is not None:
        raise UsageError("expected either --mask or --points")
    if mask is not None:
        return [Removal(mask=_read(_mask_for(file, mask))) for file in files]
    if points is not None:
        given = _given(points)
        return [Removal(points=_points_for(file, given, points)) for file in files]
    return None


def removal_for(files: Sequence[Path], mask: Path | None, points: Path | None) -> Callable[[Path], Removal] | None:
    """The same as something that is asked file by file; None where neither was given."""
    found = removals_of(files, mask, points)
    return dict(zip(files, found, strict=True)).__getitem__ if found is not None else None


def even_grid(size_wh: tuple[int, int], grid_shape: Sequence[int] | None) -> Removal:
    """A grid of the card's shape over the whole picture: as much work as a real one, where nobody has measured one."""
    rows, columns = grid_shape or (9, 13)
    width, height = size_wh
    xs = np.linspace(_EDGE * width, (1 - _EDGE) * width, columns)
    ys = np.linspace(_EDGE * height, (1 - _EDGE) * height, rows)
    return Removal(points=np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.float32))


def _mask_for(file: Path, given: Path) -> Path:
    if not given.is_dir():
        return given
    for suffix in _MASK_SUFFIXES:
        if (found := given / f"{file.stem}{suffix}").is_file() and found.resolve() != file.resolve():
            return found
    raise UsageError(f"--mask {given}: holds no mask for {file.name} (expected {file.stem}.png)")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None


def _given(file: Path) -> Any:
    try:
        return json.loads(_read(file))
    except ValueError as error:
        raise UsageError(f"--points {file}: not JSON: {error}") from None


def _points_for(file: Path, given: Any, source: Path) -> NDArray[np.float32]:
    found = given
    if isinstance(given, Mapping):
        found = given.get(str(file), given.get(file.name, given.get(file.stem)))
        if found is None:
            raise UsageError(f"--points {source}: holds no points for {file.name}")
    elif isinstance(given, list) and given and isinstance(given[0], Mapping):
        found = _of_pose(file, given, source)
    try:
        points = np.asarray(found, np.float32)
    except (TypeError, ValueError):
        points = np.empty(0, np.float32)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or not np.isfinite(points).all():
        raise UsageError(f"--points {source}: expected a list of [x, y] for {file.name}")
    return np.ascontiguousarray(points[:, :2])


def _of_pose(file: Path, answers: Sequence[Any], source: Path) -> Any:
    """The best pose that `kelp infer -o json` found in the picture of that name."""
    for answer in answers:
        if isinstance(answer, Mapping) and Path(str(answer.get("image"))).name == file.name:
            poses = [one for one in answer.get("detections") or () if isinstance(one, Mapping) and one.get("keypoints")]
            if not poses:
                raise UsageError(f"--points {source}: no pose was found in {file.name}")
            return max(poses, key=lambda one: float(one.get("score", 0)))["keypoints"]
    raise UsageError(f"--points {source}: holds no answer for {file.name}")
