"""Frames fetched ahead of the model, in order, with a bound on how many and how many bytes wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from kelp import tracing

AHEAD_FRAMES = 8
AHEAD_BYTES = 64 << 20
# What a frame is taken to weigh before one was seen.
_GUESS_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """number: the task's own; image: the original bytes."""

    number: int
    image: bytes


async def fetch_ahead(
    fetch: Callable[[int], Awaitable[bytes]],
    numbers: Sequence[int],
    *,
    frames: int = AHEAD_FRAMES,
    most_bytes: int = AHEAD_BYTES,
) -> AsyncGenerator[Frame, None]:
    """The frames `numbers` in order. Up to `frames` are fetched at once or wait, of about `most_bytes` together.

    The first failure is raised in its turn, and what is still under way is given up.
    """
    waiting: deque[tuple[int, asyncio.Task[bytes]]] = deque()
    left = iter(numbers)
    largest = 0

    def held() -> int:
        done = sum(len(task.result()) for _, task in waiting if _has_bytes(task))
        return done + (largest or _GUESS_BYTES) * sum(not task.done() for _, task in waiting)

    def fill() -> None:
        while len(waiting) < frames and (not waiting or held() + (largest or _GUESS_BYTES) <= most_bytes):
            number = next(left, None)
            if number is None:
                return
            waiting.append((number, asyncio.ensure_future(_traced(fetch, number))))

    try:
        fill()
        while waiting:
            number, task = waiting[0]
            image = await task
            waiting.popleft()
            largest = max(largest, len(image))
            fill()
            yield Frame(number, image)
    finally:
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


async def _traced(fetch: Callable[[int], Awaitable[bytes]], number: int) -> bytes:
    with tracing.span("fetch frame", {"kelp.frame": number}) as span:
        image = await fetch(number)
        span.set({"kelp.bytes": len(image)})
        return image


def _has_bytes(task: asyncio.Task[bytes]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
