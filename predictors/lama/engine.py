"""The two ways to run an inpainting network."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kelp.card import Card
from predictors.common.errors import WeightsError

Floats = NDArray[np.float32]


class Engine(Protocol):
    """A loaded network."""

    def run(self, images: Floats, masks: Floats) -> Floats:
        """`images`: float32 [n, 3, H, W], RGB 0..1; `masks`: float32 [n, 1, H, W], 1 where to fill. Like `images`."""
        ...

    def free_cached_memory(self) -> None:
        """Give memory back that the device keeps for later."""
        ...


def open_engine(file: Path, card: Card) -> Engine:
    """The engine for a file, by its ending; only the one that is needed is imported. WeightsError for another file."""
    if file.suffix == ".onnx":
        from predictors.lama.onnx_engine import OnnxEngine

        return OnnxEngine(file, card)
    if file.suffix in {".pt", ".pth", ".ts", ".torchscript"}:
        from predictors.lama.torch_engine import TorchEngine

        return TorchEngine(file, card)
    raise WeightsError(f"{file.name}: expected a TorchScript file (.pt) or an ONNX file (.onnx)")
