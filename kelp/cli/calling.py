"""Calling a detector: awake or not, a few images at a time; a bad one does not spoil the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kelp.cli.patience import patiently
from kelp.detections import Detections
from kelp.errors import InvalidImage, KelpError, OutOfMemory

if TYPE_CHECKING:
    from kelp.client.sync_calls import SyncCalls

BATCH_BYTES = 24 << 20  # of encoded images in one request; every model takes more


@dataclass(frozen=True, slots=True)
class Answer:
    """One image's: row `image` of `found`, or the error in its place. seconds: of the request, over its images."""

    found: Detections | None
    image: int
    seconds: float
    error: KelpError | None = None


def detect_all(
    client: SyncCalls,
    model: str,
    images: Iterator[bytes],
    *,
    batch: int,
    parameters: Mapping[str, Any],
    cold_start_s: float,
    on_waiting: Callable[[float], None] | None,
) -> Iterator[Answer]:
    """An answer for each image, in order. KelpError where the whole is refused."""
    for group in _groups(images, batch):
        yield from _detect(client, model, group, parameters, cold_start_s, on_waiting)


def _detect(
    client: SyncCalls,
    model: str,
    group: Sequence[bytes],
    parameters: Mapping[str, Any],
    cold_start_s: float,
    on_waiting: Callable[[float], None] | None,
) -> list[Answer]:
    begun = time.perf_counter()
    try:
        found = detect_patiently(client, model, group, parameters, cold_start_s, on_waiting)
    except (InvalidImage, OutOfMemory) as error:
        refused = sorted({i for i in error.image_indices or () if 0 <= i < len(group)})
        if not refused:
            raise
        if refused == [0] and len(group) == 1:
            return [Answer(None, 0, 0.0, of_one_image(error))]
        # What the error says is said of the first: each of the refused is asked about alone, and the rest together.
        parts = [[i] for i in refused] + [[i for i in range(len(group)) if i not in refused]]
        answers: dict[int, Answer] = {}
        for part in filter(None, parts):
            images = [group[i] for i in part]
            answers |= zip(part, _detect(client, model, images, parameters, cold_start_s, on_waiting), strict=True)
        return [answers[i] for i in range(len(group))]
    seconds = (time.perf_counter() - begun) / len(group)
    return [Answer(found, i, seconds) for i in range(len(group))]


def of_one_image(error: KelpError) -> KelpError:
    """`error` of a request with one image, without the number that the predictor gives it."""
    error.message = error.message.removeprefix("image 0: ")
    return error


def detect_patiently(
    client: SyncCalls,
    model: str,
    images: Sequence[bytes],
    parameters: Mapping[str, Any],
    cold_start_s: float,
    on_waiting: Callable[[float], None] | None,
) -> Detections:
    """Waits for a model that starts, and a moment for a server that has gone; one that says why it cannot is not
    waited for."""
    return patiently(lambda: client.detect(model, images, parameters=parameters, on_waiting=on_waiting), cold_start_s)


def _groups(images: Iterator[bytes], batch: int) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for image in images:
        if group and (len(group) >= batch or size + len(image) > BATCH_BYTES):
            yield group
            group, size = [], 0
        group.append(image)
        size += len(image)
    if group:
        yield group
