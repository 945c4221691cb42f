"""The inpainter's training, to be taken up again where it was killed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from demo.training.inpaint.network import Inpainter
from demo.training.inpaint.patches import batches
from demo.training.recipes import InpaintRecipe

_WARM_UP = 40
_KEEP_S = 45.0
_DECAY = 0.995


def fit(recipe: InpaintRecipe, pairs: Path, folder: Path) -> Iterator[tuple[int, int, str]]:
    """Trains to the end; yields (steps done, all, what to tell). The result is `weights_of(folder)`, a state dict."""
    target, kept = weights_of(folder), folder / "kept.pt"
    if target.exists():
        yield recipe.steps, recipe.steps, ""
        return
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    network = Inpainter(recipe.width).to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(_DECAY)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=1e-4)
    step = _resume(kept, network, average, optimizer)
    half = bool(torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16"))
    saved, shown = time.monotonic(), 0.0
    for given, wanted, mask in batches(recipe, pairs, step):
        for group in optimizer.param_groups:
            fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
            group["lr"] = recipe.rate * min(1.0, (step + 1) / _WARM_UP) * fall
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            answer = network(given, mask)
        # PSNR asks for squares; a part of plain distances keeps rare large errors from ruling.
        apart = (answer.float() - wanted) * mask
        squares = apart.square().sum() / (3 * mask.sum())
        loss = 10 * squares + apart.abs().sum() / (3 * mask.sum())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(network)
        step += 1
        error = float(squares)
        shown = error if step == 1 or not shown else 0.97 * shown + 0.03 * error
        if time.monotonic() - saved > _KEEP_S:
            _save(kept, {"step": step, "network": network.state_dict(), "average": average.state_dict(),
                         "optimizer": optimizer.state_dict()})  # fmt: skip
            saved = time.monotonic()
        yield step, recipe.steps, f"{-10 * math.log10(max(shown, 1e-9)):.2f} dB"
    _save(target, average.module.state_dict())
    kept.unlink(missing_ok=True)


def weights_of(folder: Path) -> Path:
    """The trained weights; they exist once the training has ended."""
    return folder / "trained.pt"


def _resume(kept: Path, *parts: Any) -> int:
    if not kept.exists():
        return 0
    state = torch.load(kept, map_location="cpu", weights_only=True)
    for name, part in zip(("network", "average", "optimizer"), parts, strict=True):
        part.load_state_dict(state[name])
    return int(state["step"])


def _save(file: Path, state: dict[str, Any]) -> None:
    part = file.with_suffix(".part")
    torch.save(state, part)
    part.replace(file)
