"""Whether a model's process still answers. Its health does so in milliseconds by design, also while it predicts."""

from __future__ import annotations

import asyncio

from kelp.local.upstream import Broken, Pool, get

EVERY_S = 5.0
ANSWER_S = 10.0
MISSES = 3
"""So many questions in a row without an answer, and the process hangs: half a minute to three quarters."""


async def until_hung(pool: Pool) -> str:
    """Returns once the process behind `pool` hangs, with what to tell people."""
    misses = 0
    while misses < MISSES:
        await asyncio.sleep(EVERY_S)
        try:
            async with asyncio.timeout(ANSWER_S):
                await get(pool, "/v2/health/live")
            misses = 0
        except (TimeoutError, OSError, Broken):
            misses += 1
    return f"it did not answer {MISSES} questions after its health in a row"
