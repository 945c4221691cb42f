"""Which seed is for what: the only place that says so, so that nothing is ever measured on what it was trained on."""

from __future__ import annotations

TRAINING_SEEDS = range(10_000, 20_000)
"""Pictures that weights may be trained on."""

VALIDATION_SEEDS = range(20_000, 21_000)
"""Pictures that choose between checkpoints and settings."""

HELD_OUT_SEEDS = range(30_000, 31_000)
"""Pictures for measuring only: the quality in a card comes from these."""

DEMO_SEEDS: tuple[int, ...] = (40_001, 40_002, 40_003, 40_004, 40_005, 40_006, 40_007, 40_008)
"""Quadrats that are photographed to be shown: the demo takes the first of them."""
