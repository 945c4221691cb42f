"""Recognising that a device's memory was too small, by the words of torch and onnxruntime."""

from __future__ import annotations

_WORDS = (
    "out of memory",
    "failed to allocate memory",
    "can't allocate memory",
    "not enough memory",
    "bad allocation",
    "bad_alloc",
    "alloc_failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a RuntimeError of torch, or an exception of onnxruntime, tells of memory that could not be had."""
    if not isinstance(error, RuntimeError) and not type(error).__module__.startswith("onnxruntime"):
        return False
    text = str(error).lower()
    return any(words in text for words in _WORDS)
