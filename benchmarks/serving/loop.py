"""The best that the predictor does without a server, in a process of its own.

One line on standard input is one measurement, answered by one line of numbers:
`once`: decode, preprocess, predict, postprocess of one image, seconds; a filled picture is encoded again;
`columns`: the same, and what was found as columns;
`rate N THREADS PLACE`: N images, decoded by THREADS beside the model, in the card's batches, postprocessed `beside` the
model or `between` its batches: images a second, and processor seconds an image.

python -m benchmarks.serving.loop CARD IMAGE [MASK], the mask for a card that fills.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kelp.card import Card, load_card
from kelp.detections.build import build
from kelp.settings.model import effective_settings, settings_of
from predictors.model import Item
from predictors.registry import make_model

OUTPUTS = ("image_index", "label_id", "score", "box", "polygon_offsets", "polygon_points")
_OF_TASK = {"pose": ("image_index", "label_id", "score", "box", "keypoints"), "inpaint": ("image",)}
_AHEAD = 2


def outputs_of(card: Card) -> tuple[str, ...]:
    """The outputs that a request of the card's task asks for here."""
    return _OF_TASK.get(card.task, OUTPUTS)


class Loop:
    def __init__(self, card: Path, image: Path, mask: Path | None = None) -> None:
        self._card = load_card(card)
        self._outputs = outputs_of(self._card)
        self._mask = None if mask is None else np.frombuffer(mask.read_bytes(), np.uint8)
        self._model = make_model(self._card)
        self._model.load()
        self._data = np.frombuffer(image.read_bytes(), np.uint8)
        self._settings = effective_settings(
            settings_of(self._card.task, self._model.own_settings), self._card.settings, {}
        )

    def once(self, *, columns: bool) -> float:
        started = time.perf_counter()
        items = [self._item(self._decoded())]
        results = self._model.postprocess(self._model.predict(self._model.preprocess(items)), items)
        if self._card.task == "inpaint":
            cv2.imencode(".png", cv2.cvtColor(np.asarray(results[0]), cv2.COLOR_RGB2BGR))
        elif columns:
            self._columns(results)
        return time.perf_counter() - started

    def rate(self, images: int, threads: int, place: str) -> tuple[float, float]:
        size = self._card.batch.max_images
        with ThreadPoolExecutor(threads) as decoders, ThreadPoolExecutor(2) as readers:
            began, cpu = time.perf_counter(), time.process_time()
            decoded = deque[Future[NDArray[np.uint8]]]()
            read: list[Future[None]] = []
            submitted = done = 0
            while done < images:
                while submitted < images and len(decoded) < _AHEAD * size:
                    decoded.append(decoders.submit(self._decoded))
                    submitted += 1
                items = [self._item(decoded.popleft().result()) for _ in range(min(size, len(decoded)))]
                raw = self._model.predict(self._model.preprocess(items))
                if place == "beside":
                    read.append(readers.submit(self._read, raw, items))
                else:
                    self._read(raw, items)
                done += len(items)
            for each in read:
                each.result()
            return images / (time.perf_counter() - began), (time.process_time() - cpu) / images

    def _decoded(self) -> NDArray[np.uint8]:
        return cv2.imdecode(self._data, cv2.IMREAD_COLOR_RGB)  # type: ignore[return-value]

    def _item(self, image: NDArray[np.uint8]) -> Item:
        extras = {}
        if self._mask is not None:
            extras["mask"] = np.asarray(cv2.imdecode(self._mask, cv2.IMREAD_GRAYSCALE) != 0).astype(np.uint8)
        return Item(image, self._settings, frozenset(self._outputs), extras)

    def _read(self, raw: Any, items: list[Item]) -> None:
        for result in self._model.postprocess(raw, items):
            self._columns([result])

    def _columns(self, results: Any) -> None:
        build(results, self._model.labels, self._outputs, [1.0] * len(results))


def main() -> None:
    loop = Loop(*map(Path, sys.argv[1:]))
    for _ in range(3):
        loop.once(columns=False)
    print("ready", flush=True)
    for line in sys.stdin:
        what, *arguments = line.split()
        if what == "rate":
            print(*loop.rate(int(arguments[0]), int(arguments[1]), arguments[2]), flush=True)
        else:
            print(loop.once(columns=what == "columns"), flush=True)


if __name__ == "__main__":
    main()
