"""The kinds of weights that are told apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Yolo:
    """task: segment, detect or pose; names: labels by id; input_hw: height and width it was trained for; keypoints:
    points of a pose."""

    file: Path
    task: str
    names: tuple[str, ...]
    input_hw: tuple[int, int]
    keypoints: int | None


@dataclass(frozen=True, slots=True)
class Inpainter:
    """(image, mask) → image, as TorchScript or ONNX."""

    file: Path


@dataclass(frozen=True, slots=True)
class Semantic:
    """A semantic segmenter of mmsegmentation. names: its classes by id, colours: their RGB where it has them; classes:
    how many its head tells apart, None where that is not seen."""

    file: Path
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    classes: int | None


@dataclass(frozen=True, slots=True)
class Prompted:
    """A segment-anything model."""

    file: Path


Found = Yolo | Inpainter | Semantic | Prompted
