"""Pictures that an exported file is checked with."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from predictors.common.errors import WeightsError

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
_MOST = 16
_LARGEST_SIDE = 1280


def pictures_of(folder: Path | None) -> list[NDArray[np.uint8]]:
    """uint8 [H, W, 3] RGB, at most 16: the folder's (or file's) own, else ultralytics' two and a pattern.

    WeightsError where the folder holds none that can be read.
    """
    if folder is None:
        return [*_read(_shipped()), _pattern()]
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES) if folder.is_dir() else [folder]
    found = _read(files[:: max(1, len(files) // _MOST)][:_MOST])
    if not found:
        raise WeightsError(f"{folder}: holds no pictures that can be read")
    return found


def _shipped() -> list[Path]:
    spec = importlib.util.find_spec("ultralytics")
    return sorted(Path(spec.origin).parent.glob("assets/*.jpg")) if spec and spec.origin else []


def _read(files: Sequence[Path]) -> list[NDArray[np.uint8]]:
    pictures = []
    for file in files:
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            continue
        scale = _LARGEST_SIDE / max(picture.shape[:2])
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pictures.append(np.asarray(picture, np.uint8))
    return pictures


def _pattern() -> NDArray[np.uint8]:
    """Blobs of colour: something is found in it by networks that know nothing of streets."""
    noise = np.random.default_rng(7).integers(0, 256, (20, 28, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (896, 640), interpolation=cv2.INTER_CUBIC), np.uint8)
