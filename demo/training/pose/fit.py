"""The training of a quadrat's pose network, to be taken up again where it was killed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import ultralytics
from ultralytics.utils.torch_utils import ModelEMA

from demo.training.pose.batches import batches
from demo.training.pose.network import Distance, answers, make_network, only
from demo.training.recipes import PoseRecipe, QuadratTraining

_WARM_UP = 60
_KEEP_S = 45.0


def fit(recipe: QuadratTraining, grounds: Path, folder: Path) -> Iterator[tuple[int, int, str]]:
    """Trains to the end; yields (steps done, all, what to tell). The result is `checkpoint_of(folder)`."""
    target, kept = checkpoint_of(folder), folder / "kept.pt"
    if target.exists():
        yield recipe.steps, recipe.steps, ""
        return
    folder.mkdir(parents=True, exist_ok=True)
    model = make_network(recipe)
    model.train()
    optimizer = torch.optim.AdamW(_groups(model), lr=recipe.rate, betas=(0.9, 0.99))
    average = ModelEMA(model, decay=0.995, tau=300)
    step = _resume(kept, model, optimizer, average)
    criterion = Distance(model)
    half = bool(torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16"))
    saved = time.monotonic()
    shown = 0.0
    for batch in batches(recipe, grounds, step):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _schedule(step, recipe.steps)
        images = batch["img"].float().div_(255).contiguous(memory_format=torch.channels_last)
        loss, parts = criterion(answers(model, images, half), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.sum().div(recipe.batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        average.update(model)
        step += 1
        pose = float(parts["pose_loss"])
        shown = pose if step == 1 or not shown else 0.95 * shown + 0.05 * pose
        if time.monotonic() - saved > _KEEP_S:
            _save(kept, {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                         "average": average.ema.state_dict(), "updates": average.updates})  # fmt: skip
            saved = time.monotonic()
        yield step, recipe.steps, f"pose loss {shown:.3f}"
    final = average.ema
    final.args = {"task": "pose", "imgsz": recipe.imgsz}
    _save(target, {"model": final, "train_args": final.args, "version": ultralytics.__version__})
    kept.unlink(missing_ok=True)


def checkpoint_of(folder: Path) -> Path:
    """The trained checkpoint; it exists once the training has ended."""
    return folder / "trained.pt"


def cut(recipe: PoseRecipe, trained: Path, target: Path) -> Path:
    """Writes a checkpoint with the recipe's points alone of a trained one; returns `target`."""
    # A pickle, but one that this machine has just written itself.
    state = torch.load(trained, map_location="cpu", weights_only=False)
    _save(target, {**state, "model": only(state["model"], recipe)})
    return target


def _groups(model: torch.nn.Module) -> list[dict[str, Any]]:
    """Weights decay, norms and biases do not."""
    weights = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": weights, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]


def _schedule(step: int, steps: int) -> float:
    """Part of the full rate: a short rise, then a cosine down to a fiftieth."""
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / _WARM_UP) * fall


def _resume(kept: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, average: ModelEMA) -> int:
    if not kept.exists():
        return 0
    state = torch.load(kept, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    average.ema.load_state_dict(state["average"])
    average.updates = state["updates"]
    return int(state["step"])


def _save(file: Path, state: dict[str, Any]) -> None:
    part = file.with_suffix(".part")
    torch.save(state, part)
    part.replace(file)
