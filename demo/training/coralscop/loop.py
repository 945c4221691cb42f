"""A training loop that goes on where it was killed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

_KEEP_EVERY_S = 45.0


@dataclass(frozen=True)
class Plan:
    """steps: of AdamW, `batch` pictures each; rate: at its highest; validate_every: steps."""

    steps: int
    batch: int
    rate: float
    weight_decay: float = 0.02


def train(
    model: torch.nn.Module,
    loss_of: Callable[[np.random.Generator], torch.Tensor],
    plan: Plan,
    kept: Path,
    progress: Callable[[int, int, float], None],
) -> None:
    """Trains `model` to the plan's end, from `kept` if that is there. loss_of: the loss of one batch, drawn by the
    generator given, which depends on the step alone; progress: called with (step, steps, mean loss)."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98))
    first = _resume(model, optimizer, kept)
    mean, last_kept = 0.0, time.monotonic()
    model.train()
    for step in range(first, plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _share(step, plan.steps)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=_has_bfloat16()):
            loss = loss_of(np.random.default_rng([11, step]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if step == first else 0.95 * mean + 0.05 * loss.item()
        if step % 10 == 9 or step + 1 == plan.steps:
            progress(step + 1, plan.steps, mean)
        if time.monotonic() - last_kept > _KEEP_EVERY_S or step + 1 == plan.steps:
            _keep(model, optimizer, step + 1, kept)
            last_kept = time.monotonic()
    model.eval()


def _share(step: int, steps: int) -> float:
    """A short rise, then half a cosine down to a fiftieth."""
    warm = max(steps // 25, 1)
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))


def _has_bfloat16() -> bool:
    """Whether the processor computes with it: half the time for the same result."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _resume(model: torch.nn.Module, optimizer: torch.optim.Optimizer, kept: Path) -> int:
    if not kept.exists():
        return 0
    state = torch.load(kept, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _keep(model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int, kept: Path) -> None:
    part = kept.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, part)
    part.replace(kept)


def turned(arrays: list[NDArray[np.uint8]], rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """The same quarter turn and mirroring of all arrays [side, side, …]."""
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    moved = [np.rot90(array, turns) for array in arrays]
    return [np.ascontiguousarray(array[:, ::-1] if mirrored else array) for array in moved]


def coloured(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Float32 [side, side, 3], 0..255: another exposure and white balance."""
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.93, 1.07, 3)
    lit = image * gain.astype(np.float32) + np.float32(rng.uniform(-12, 12))
    return np.asarray(np.clip(lit, 0, 255), np.float32)
