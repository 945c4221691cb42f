"""Weights as other programs leave them, small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Inpainter(torch.nn.Module):
    """Gray where the mask is."""

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return image * (1 - mask) + 0.5 * mask


class Doubler(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return 2 * image


def torchscript(path: Path, module: torch.nn.Module | None = None) -> Path:
    torch.jit.save(torch.jit.script(module or Inpainter()), path)
    return path


def mmseg(path: Path, classes: list[str] | None, *, bare: bool = False, count: int | None = None) -> Path:
    """As mmengine's Runner saves it (with its log buffers), or a state with its metadata beside."""
    about: dict[str, Any] = (
        {"classes": tuple(classes), "palette": [[i, 2 * i, 255] for i in range(len(classes))]} if (classes) else {}
    )
    state = {
        "backbone.a": torch.zeros(2),
        "decode_head.conv_seg.weight": torch.zeros(count or len(classes or "ab"), 4, 1, 1),
    }
    if bare:
        torch.save({"state_dict": state, "dataset_meta": about}, path)
    else:
        meta = {"epoch": 3, "dataset_meta": about, "history": np.random.default_rng(1).random(5)}
        torch.save({"meta": meta, "state_dict": state, "message_hub": {"log": torch.nn.Linear(2, 2)}}, path)
    return path


def sam(path: Path) -> Path:
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 2, 2, 4), "mask_decoder.x": torch.zeros(2)}, path)
    return path


def engine(path: Path, **metadata: Any) -> Path:
    """A TensorRT engine's file as ultralytics writes it, the engine itself being nonsense."""
    about = {
        "task": "pose", "names": {"0": "quadrat"}, "imgsz": [640, 640], "stride": 32, "batch": 8, "kpt_shape": [4, 3],
        "args": {"dynamic": True}, **metadata,
    }  # fmt: skip
    text = json.dumps(about).encode()
    path.write_bytes(len(text).to_bytes(4, "little") + text + b"no engine")
    return path


def template(path: Path, rows: int, columns: int) -> Path:
    y, x = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    np.save(path, np.stack([x.ravel(), y.ravel()], axis=1))
    return path
