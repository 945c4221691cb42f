"""Whether a model's process still answers. Its health does so in milliseconds by design, also while it predicts."""

from __future__ import annotations

import asyncio
import contextlib
import json

from kelp.local.upstream import Broken, Pool, get

EVERY_S = 5.0
ANSWER_S = 10.0
MISSES = 3
"""So many questions in a row without a good answer, and the process hangs: a quarter to three quarters of a minute."""


async def until_hung(pool: Pool) -> str:
    """Returns once the process behind `pool` hangs, or says of itself that it does, with what to tell people."""
    misses, why = 0, ""
    while misses < MISSES:
        await asyncio.sleep(EVERY_S)
        try:
            async with asyncio.timeout(ANSWER_S):
                status, body = await get(pool, "/v2/health/live")
        except (TimeoutError, OSError, Broken):
            misses, why = misses + 1, f"it did not answer {MISSES} questions after its health in a row"
        else:
            misses, why = (0, "") if status < 500 else (misses + 1, _error_in(body))
    return why


def _error_in(body: bytes) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["error"])
    return "it says that it is not alive"
