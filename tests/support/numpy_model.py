"""A model family of numpy alone: detections that follow from the pixels, with faults and delays at will.

Serve it with `KELP_RUNTIMES=numpy=tests.support.numpy_model:create` and a card with `runtime: numpy`.

The image is seen as 4 x 4 cells. A cell is a detection where its mean brightness reaches `conf_threshold`; its score is
that brightness, its label the strongest of red, green and blue, its mask an ellipse that fills the middle of the cell.

Faults: the image's first pixel can say what goes wrong with it (`FAULTS`; send such images without loss), and the
environment can slow the process down or make its device small:
KELP_NUMPY_DELAY_S (a prediction of any batch takes that long), KELP_NUMPY_LOAD_S, KELP_NUMPY_OOM_ABOVE (images that
the pretended device holds), KELP_NUMPY_FAIL_LOAD (why loading fails).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kelp.card import Card
from kelp.detections import Predictions
from kelp.errors import InvalidImage, KelpError
from kelp.geometry import spans_of_crops
from kelp.settings.model import ModelSetting
from predictors.model import Item, Model, RgbImage

CELLS = 4
FAULTS: dict[str, tuple[int, int, int]] = {
    "refused": (255, 0, 1),  # preprocess refuses the image
    "predict": (255, 0, 2),  # predict raises
    "postprocess": (255, 0, 3),  # postprocess raises
    "memory": (255, 0, 4),  # too large for the device, even alone
    "device": (255, 0, 5),  # breaks the device: from then on every prediction fails
}


class NumpyModel(Model):
    """Deterministic, quick, and as bad as it is told to be."""

    own_settings = (ModelSetting("delay_s", "float", 0.0, "how long a prediction takes", 0.0, 60.0, tasks=frozenset()),)

    def __init__(self, card: Card, files: Mapping[str, Path]) -> None:
        super().__init__(card, files)
        self._delay_s = float(os.environ.get("KELP_NUMPY_DELAY_S", "0"))
        self._oom_above = int(os.environ.get("KELP_NUMPY_OOM_ABOVE", "0"))
        self._broken = False
        self._thread: int | None = None

    def load(self) -> None:
        time.sleep(float(os.environ.get("KELP_NUMPY_LOAD_S", "0")))
        if os.environ.get("KELP_NUMPY_FAIL_LOAD"):
            raise KelpError(os.environ["KELP_NUMPY_FAIL_LOAD"], code="weights")
        self._thread = threading.get_ident()

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.card.label_names()) or ("red", "green", "blue")

    def warm_up_items(self) -> Sequence[Item]:
        settings = {"conf_threshold": 0.25, "max_detections": 1, "delay_s": 0.0}
        return (Item(np.full((8, 8, 3), 200, np.uint8), settings, frozenset()),)

    def preprocess(self, items: Sequence[Item]) -> Any:
        for item in items:
            if _fault(item.image) == "refused":
                raise InvalidImage("refused by the model")
        return [(_cells(item.image), _fault(item.image), float(item.settings["delay_s"] or 0)) for item in items]

    def predict(self, batch: Any) -> Any:
        if threading.get_ident() != self._thread:
            raise RuntimeError("predict runs in another thread than load")
        faults = {fault for _, fault, _ in batch}
        self._broken = self._broken or "device" in faults
        if self._broken:
            raise RuntimeError("device-side assert triggered (pretended)")
        if "memory" in faults or (self._oom_above and len(batch) > self._oom_above):
            raise _out_of_memory()
        if "predict" in faults:
            raise RuntimeError("predict broke; secret=hunter2")
        delay_s = max([self._delay_s, *(delay for _, _, delay in batch)])
        if delay_s:
            time.sleep(delay_s)
        return [(cells, fault) for cells, fault, _ in batch]

    def postprocess(self, raw: Any, items: Sequence[Item]) -> list[Predictions]:
        if any(fault == "postprocess" for _, fault in raw):
            raise ValueError("postprocess broke")
        masks = self.card.task == "segment"
        return [_found(cells, item, masks) for (cells, _), item in zip(raw, items, strict=True)]


class NumpyInpainter(NumpyModel):
    """Paints what is to be removed black."""

    def postprocess(self, raw: Any, items: Sequence[Item]) -> list[RgbImage]:  # type: ignore[override]
        painted = []
        for item in items:
            image = item.image.copy()
            if "mask" in item.extras:
                image[item.extras["mask"] != 0] = 0
            for x, y in item.extras.get("grid_points", ()):
                image[int(y), int(x)] = 0
            painted.append(image)
        return painted


def create(card: Card, files: Mapping[str, Path]) -> Model:
    return NumpyInpainter(card, files) if card.task == "inpaint" else NumpyModel(card, files)


def expected(image: RgbImage, card: Card, **settings: Any) -> Predictions:
    """What the model finds in `image` at these settings."""
    values = {"conf_threshold": 0.25, "max_detections": 300, **settings}
    return _found(_cells(image), Item(image, values, frozenset()), card.task == "segment")


def _fault(image: RgbImage) -> str | None:
    first = tuple(int(v) for v in image[0, 0])
    return next((name for name, colour in FAULTS.items() if colour == first), None)


def _cells(image: RgbImage) -> NDArray[np.float32]:
    """Mean colour of each cell, float32 [CELLS, CELLS, 3], of at most 16 x 16 pixels a cell."""
    height, width = image.shape[:2]
    ys, xs = np.linspace(0, height, CELLS + 1).astype(int), np.linspace(0, width, CELLS + 1).astype(int)
    cells = np.zeros((CELLS, CELLS, 3), np.float32)
    for row in range(CELLS):
        for column in range(CELLS):
            cell = image[ys[row] : ys[row + 1], xs[column] : xs[column + 1]]
            if cell.size:
                cells[row, column] = cell[:: max(1, len(cell) // 16), :: max(1, cell.shape[1] // 16)].mean((0, 1))
    return cells


def _found(cells: NDArray[np.float32], item: Item, with_masks: bool) -> Predictions:
    height, width = item.image.shape[:2]
    scores = cells.mean(axis=2) / 255.0
    above = np.argwhere(scores >= float(item.settings["conf_threshold"])) if min(height, width) >= CELLS else []
    places = [(int(row), int(column)) for row, column in above]
    places.sort(key=lambda place: (-scores[place], place))
    places = places[: int(item.settings["max_detections"])]
    ys, xs = np.linspace(0, height, CELLS + 1).astype(int), np.linspace(0, width, CELLS + 1).astype(int)
    boxes = [(xs[c], ys[r], xs[c + 1], ys[r + 1]) for r, c in places]
    crops = [(_ellipse(x2 - x1, y2 - y1), x1, y1) for x1, y1, x2, y2 in boxes] if with_masks else []
    return Predictions(
        size_hw=(height, width),
        label_id=np.array([int(cells[place].argmax()) for place in places], np.int32),
        score=np.array([scores[place] for place in places], np.float32),
        box=np.array(boxes, np.float32).reshape(-1, 4),
        masks=spans_of_crops(crops, (height, width)) if with_masks else None,
    )


def _ellipse(width: int, height: int) -> NDArray[np.uint8]:
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (max(1, width // 3), max(1, height // 3)), 0, 0, 360, 1, -1)
    return mask


def _out_of_memory() -> Exception:
    """torch's own error where torch is there, else one that looks like it."""
    try:
        from torch.cuda import OutOfMemoryError
    except ImportError:
        return type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory (pretended)")
    return OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB (pretended)")  # type: ignore[no-any-return]
