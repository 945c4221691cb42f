"""How this process treats its memory."""

from __future__ import annotations

import gc


def settle() -> None:
    """What was imported stays for ever: the collector need not look at it again, and again, between webhooks."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(30_000, 20, 20)
