"""Frames through the model: fetched ahead, several a request, a few requests at once, answers in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from bridge.detect.frames import Frame
from bridge.detect.infer import Answered, Question, SetAside
from bridge.runs.reins import Reins
from kelp import tracing

IMAGES_A_REQUEST = 4
BYTES_A_REQUEST = 24 << 20
REQUESTS_AT_ONCE = 2


async def answers(
    question: Question, frames: AsyncIterator[Frame], reins: Reins
) -> AsyncGenerator[Answered | SetAside, None]:
    """An answer for each of `frames`, in their order. Ends with the reason where the run must stop."""
    asked: deque[asyncio.Task[list[Answered | SetAside]]] = deque()
    try:
        async for batch in _batches(frames):
            await reins.go_on()
            asked.append(asyncio.create_task(_asked(question, batch)))
            if len(asked) >= REQUESTS_AT_ONCE:
                for outcome in await reins.unless_halted(asked.popleft()):
                    yield outcome
        while asked:
            for outcome in await reins.unless_halted(asked.popleft()):
                yield outcome
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _asked(question: Question, frames: list[Frame]) -> list[Answered | SetAside]:
    with tracing.span("frames", {"kelp.frames": [frame.number for frame in frames]}) as span:
        outcomes = await question.ask(frames)
        span.set({"kelp.set_aside": sum(isinstance(outcome, SetAside) for outcome in outcomes)})
        return outcomes


async def _batches(frames: AsyncIterator[Frame]) -> AsyncIterator[list[Frame]]:
    batch: list[Frame] = []
    size = 0
    async for frame in frames:
        if batch and (len(batch) >= IMAGES_A_REQUEST or size + len(frame.image) > BYTES_A_REQUEST):
            yield batch
            batch, size = [], 0
        batch.append(frame)
        size += len(frame.image)
    if batch:
        yield batch
