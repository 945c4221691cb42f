"""From a request's bytes to images in the batcher's queue, in a few threads beside the event loop and the model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.errors import InvalidImage, KelpError, OutOfMemory
from predictors.model import Item, RgbImage
from predictors.serving.batcher import Batcher
from predictors.serving.budget import PixelBudget
from predictors.serving.call import Call, Work
from predictors.serving.images import EncodedImage
from predictors.serving.plan import Plan, Source


class Intake:
    """Decodes a request's images side by side; each goes to the batcher as soon as it is there.

    A request with a bad image goes its whole way nevertheless, so that its answer names all of them.
    """

    def __init__(
        self,
        batcher: Batcher,
        budget: PixelBudget,
        *,
        max_pixels: int,
        threads: int,
    ) -> None:
        self._batcher = batcher
        self._budget = budget
        self._max_pixels = max_pixels
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def submit(self, call: Call, read: Callable[[], Plan]) -> None:
        """Read the request and decode its images, in the background."""
        self._batcher.announce(1)
        self._pool.submit(self._begin, call, read)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, call: Call, read: Callable[[], Plan]) -> None:
        announced = 1
        try:
            if call.over:
                return
            started = time.monotonic()
            plan = read()
            count = len(plan.images)
            call.expect(count)
            call.phases["decode"] = time.monotonic() - started
            self._batcher.announce(count - 1)
            announced = 0
            clock = _Clock(count, started, call)
            for index in range(1, count):
                self._pool.submit(self._decode, call, plan, index, clock)
            self._decode(call, plan, 0, clock)
        except BaseException as error:  # whatever it is, the caller gets an answer
            call.fail(error)
        finally:
            if announced:
                self._batcher.announce(-announced)

    def _decode(self, call: Call, plan: Plan, index: int, clock: _Clock) -> None:
        held = 0
        try:
            source = plan.images[index]
            if isinstance(source, np.ndarray):
                image = self._checked(source)
            else:
                encoded = EncodedImage(source, self._max_pixels)
                if not self._budget.hold(encoded.pixels, lambda: not call.over):
                    raise _Left
                held = encoded.pixels
                image = encoded.to_rgb()
            extras = _with_mask(plan, index, image, self._max_pixels)
            work = Work(call, index, Item(image, plan.settings, plan.outputs, extras), held)
        except _Left:
            self._settle(call, index, None, held, clock)
        except KelpError as error:
            self._settle(call, index, error, held, clock)
        except MemoryError:
            self._settle(call, index, OutOfMemory("no memory to decode the image", retry_after_s=5), held, clock)
        except BaseException as error:  # whatever it is, the caller gets an answer
            self._budget.release(held)
            self._batcher.announce(-1)
            call.fail(error)
        else:
            clock.tick()
            self._batcher.put(work)

    def _settle(self, call: Call, index: int, result: KelpError | None, held: int, clock: _Clock) -> None:
        self._budget.release(held)
        self._batcher.announce(-1)
        clock.tick()
        if call.settle(index, result):
            call.finish()

    def _checked(self, image: NDArray[Any]) -> RgbImage:
        height, width = image.shape[:2]
        if height * width > self._max_pixels:
            raise InvalidImage(
                f"the image is {width}x{height} = {height * width} pixels, over the limit of {self._max_pixels}",
                code="too_many_pixels",
            )
        return image


class _Left(Exception):
    """The caller left while its image waited for room."""


class _Clock:
    """Notes how long the decoding of a call's images took, from the first one's start to the last one's end."""

    def __init__(self, images: int, started: float, call: Call) -> None:
        self._open = images
        self._started = started
        self._call = call
        self._lock = threading.Lock()

    def tick(self) -> None:
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._call.phases.pop("decode", None)
                self._call.add_phase("decode", self._started, time.monotonic())


def _with_mask(plan: Plan, index: int, image: RgbImage, max_pixels: int) -> Mapping[str, NDArray[Any]]:
    extras = plan.extras[index]
    if plan.masks is None:
        return extras
    source: Source = plan.masks[index]
    mask = (
        (source != 0).astype(np.uint8) if isinstance(source, np.ndarray) else EncodedImage(source, max_pixels).to_mask()
    )
    if mask.shape != image.shape[:2]:
        raise InvalidImage(
            f"its mask is {mask.shape[1]}x{mask.shape[0]}, the image {image.shape[1]}x{image.shape[0]} pixels"
        )
    return {**extras, "mask": mask}
