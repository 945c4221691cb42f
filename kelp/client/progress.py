"""Tells a caller, while an answer is awaited, how long it has been."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager


@contextmanager
def progress(on_waiting: Callable[[float], None] | None, every_s: float) -> Iterator[None]:
    """Calls `on_waiting` from a thread of its own every `every_s` seconds while the block runs."""
    if on_waiting is None:
        yield
        return
    started = time.monotonic()
    over = threading.Event()

    def tick() -> None:
        while not over.wait(every_s):
            on_waiting(time.monotonic() - started)

    thread = threading.Thread(target=tick, name="kelp-client-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@asynccontextmanager
async def progress_async(on_waiting: Callable[[float], None] | None, every_s: float) -> AsyncIterator[None]:
    """The same on the event loop."""
    if on_waiting is None:
        yield
        return
    started = time.monotonic()

    async def tick() -> None:
        while True:
            await asyncio.sleep(every_s)
            on_waiting(time.monotonic() - started)

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
