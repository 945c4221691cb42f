"""Pictures whose detections are known, and what a job annotated from them must hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kelp.card import parse_card
from tests.support.cvat import Cvat
from tests.support.numpy_model import CELLS, FAULTS, expected
from tests.support.predictor import numpy_card

LABELS = ("red", "green", "blue")
CARD = parse_card(json.dumps(numpy_card()))


def image(seed: int, size_hw: tuple[int, int] = (96, 128), fault: str | None = None) -> NDArray[np.uint8]:
    """Cells of random colours, RGB; `fault` is what the model does when it sees it."""
    cells = np.random.default_rng(seed).integers(0, 255, (CELLS, CELLS, 3)).astype(np.uint8)
    pixels = cv2.resize(cells, size_hw[::-1], interpolation=cv2.INTER_NEAREST)
    if fault is not None:
        pixels[0, 0] = FAULTS[fault]
    return pixels


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Without loss, so that the model sees exactly these pixels."""
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def pngs(count: int, first: int = 0) -> list[bytes]:
    return [png(image(first + seed)) for seed in range(count)]


def labels(kind: str = "polygon", names: Iterable[str] = LABELS) -> list[dict[str, Any]]:
    return [{"name": name, "type": kind} for name in names]


Found = Counter[tuple[int, str]]
"""How many shapes of a label there are on a frame."""


def found_in(pictures: Mapping[int, NDArray[np.uint8]], **settings: Any) -> Found:
    """What the model finds, by frame and label."""
    counted: Found = Counter()
    for frame, pixels in pictures.items():
        predictions = expected(pixels, CARD, **settings)
        counted.update((frame, LABELS[label]) for label in predictions.label_id.tolist())
    return counted


def found_by_seed(frames: Sequence[int] | int, first: int = 0, **settings: Any) -> Found:
    """The same for a job of `pngs`: frame n shows picture n."""
    numbers = range(frames) if isinstance(frames, int) else frames
    return found_in({number: image(first + number) for number in numbers}, **settings)


def held(cvat: Cvat, project: int, job: int) -> Found:
    """What the job holds in CVAT, by frame and label."""
    names = {id_: name for name, id_ in cvat.labels(project).items()}
    return Counter((shape["frame"], names[shape["label_id"]]) for shape in cvat.shapes(job))
