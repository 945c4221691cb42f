"""Frames are fetched ahead, in order, and never more of them than the bridge's memory is meant to hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.detect.frames import fetch_ahead


class Store:
    """Frames of given sizes that take their time; counts what is out at once."""

    def __init__(self, sizes: dict[int, int], fail: int | None = None) -> None:
        self.sizes = sizes
        self.fail = fail
        self.begun: list[int] = []
        self.cancelled = 0

    async def fetch(self, number: int) -> bytes:
        self.begun.append(number)
        try:
            await asyncio.sleep(0.001 * (number * 7 % 5))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if number == self.fail:
            raise RuntimeError("gone")
        return bytes(self.sizes[number])


async def collect(store: Store, **limits: Any) -> tuple[list[int], int, int]:
    """Numbers in order, and the most frames and bytes that were ahead of the taker."""
    taken: list[int] = []
    frames = size = 0
    async for frame in fetch_ahead(store.fetch, list(store.sizes), **limits):
        taken.append(frame.number)
        assert len(frame.image) == store.sizes[frame.number]
        await asyncio.sleep(0.01)
        ahead = [number for number in store.begun if number not in taken]
        frames, size = max(frames, len(ahead)), max(size, sum(store.sizes[n] for n in ahead))
    return taken, frames, size


def test_all_come_in_order_and_only_so_many_ahead() -> None:
    store = Store(dict.fromkeys(range(5, 45), 10))
    taken, ahead, _ = asyncio.run(collect(store, frames=6))
    assert taken == list(range(5, 45))
    assert 4 <= ahead <= 6


def test_large_frames_are_fewer_ahead() -> None:
    store = Store(dict.fromkeys(range(30), 1 << 20))
    taken, _, size = asyncio.run(collect(store, frames=16, most_bytes=4 << 20))
    assert taken == list(range(30))
    assert size <= 5 << 20


def test_one_that_is_larger_than_everything_allowed_comes_alone() -> None:
    store = Store({0: 10, 1: 5 << 20, 2: 10})
    assert asyncio.run(collect(store, frames=8, most_bytes=1 << 20))[0] == [0, 1, 2]


def test_a_failure_comes_in_its_turn_and_ends_the_rest() -> None:
    store = Store(dict.fromkeys(range(20), 10), fail=3)
    taken: list[int] = []

    async def run() -> None:
        async for frame in fetch_ahead(store.fetch, range(20), frames=8):
            taken.append(frame.number)  # noqa: PERF401 (what came before the failure counts)

    with pytest.raises(RuntimeError, match="gone"):
        asyncio.run(run())
    assert taken == [0, 1, 2]
    assert len(store.begun) <= 12


def test_who_stops_early_leaves_nothing_running() -> None:
    store = Store(dict.fromkeys(range(20), 10))

    async def run() -> int:
        frames = fetch_ahead(store.fetch, range(20), frames=8)
        async for _ in frames:
            break
        await frames.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


def test_no_frames_are_no_frames() -> None:
    assert asyncio.run(collect(Store({})))[0] == []
