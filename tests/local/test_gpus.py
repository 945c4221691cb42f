"""Which GPU a process gets, on machines made for the test."""

from __future__ import annotations

import pytest

from kelp.local.gpus import Device, allowed, choose

GIB = 2**30
MACHINE = [
    Device(0, "GPU-aaaa", 10 * GIB, 24 * GIB),
    Device(1, "GPU-bbbb", 20 * GIB, 24 * GIB),
    Device(2, "GPU-cccc", 20 * GIB, 24 * GIB),
]


def test_the_one_with_most_free_memory():
    assert choose(MACHINE, 1, {}) == ("GPU-bbbb",)


def test_what_others_are_about_to_take_counts():
    assert choose(MACHINE, 1, {"GPU-bbbb": 8 * GIB}) == ("GPU-cccc",)
    assert choose(MACHINE, 1, {"GPU-bbbb": 16 * GIB, "GPU-cccc": 16 * GIB}) == ("GPU-aaaa",)


def test_several_at_once_and_never_more_than_there_are():
    assert choose(MACHINE, 2, {}) == ("GPU-bbbb", "GPU-cccc")
    assert choose(MACHINE, 5, {}) == ("GPU-bbbb", "GPU-cccc", "GPU-aaaa")
    assert choose([], 1, {}) == ()
    assert choose(MACHINE, 0, {}) == ()


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("2,0", [2, 0]),
        ("GPU-bb", [1]),
        ("1,9,0", [1]),  # CUDA stops at the first that it does not know
        ("0,0", [0]),
    ],
)
def test_only_the_devices_left_to_us(visible, expected):
    assert [device.index for device in allowed(MACHINE, visible)] == expected
