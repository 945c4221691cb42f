"""Weights that were shipped with their norms folded away, made fit for training again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def trainable(weights: Path, images: Tensor) -> nn.Module:
    """The model of a shipped .pt of our own, float32, computing what it did, with living batch norms.

    images: float32 [N, 3, H, W], 0..1. Shipped norms only add a shift (`export`): in training they would flatten what
    their convolutions have learned. Here each gets the mean and the spread of what reaches it, and a scale that undoes
    them.
    """
    # A pickle, but one whose sha256 stands in the repository.
    model: nn.Module = torch.load(weights, map_location="cpu", weights_only=False)["model"].float().eval()
    reached: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def note(module: nn.Module, given: tuple[Any, ...]) -> None:
        value: Tensor = given[0]
        reached[module] = (value.mean(dim=(0, 2, 3)), value.var(dim=(0, 2, 3)))

    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        if norm in reached:
            _revive(norm, *reached[norm])
    return model


def _revive(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    scale = norm.weight.data / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias.data - norm.running_mean * scale
    norm.eps = 1e-3
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.data = scale * torch.sqrt(variance + norm.eps)
    norm.bias.data = shift + mean * scale
