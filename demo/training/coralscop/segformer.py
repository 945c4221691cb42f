"""Training of the semantic model: the network of the shipped config, which mmsegmentation builds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from demo.reef import GENUS_NAMES
from demo.training.coralscop.loop import Plan, coloured, train, turned
from demo.training.coralscop.pictures import Pictures
from predictors.coralscop.config import read_config
from predictors.coralscop.segmentor import build_segmentor

CLASSES = ("background", *GENUS_NAMES)
SIDE, GRID = 392, 112
_BACKGROUND_WEIGHT = 0.5


def train_segformer(
    config: Path, pictures: Pictures, plan: Plan, kept: Path, progress: Callable[[int, int, float], None]
) -> Any:
    """The trained segmentor. pictures: at SIDE and GRID."""
    torch.manual_seed(7)
    model = build_segmentor(read_config(config, None), config.name)
    weights = torch.ones(len(CLASSES))
    weights[0] = _BACKGROUND_WEIGHT
    norm = model.data_preprocessor

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        images, truths = [], []
        for number in rng.choice(len(pictures.images), plan.batch, replace=False):
            image, truth = turned([pictures.images[number], pictures.classes[number]], rng)
            images.append(coloured(image, rng))
            truths.append(truth)
        inputs = (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) - norm.mean) / norm.std
        target = torch.from_numpy(np.stack(truths)).long()
        logits = model.decode_head(model.extract_feat(inputs))
        logits = torch.nn.functional.interpolate(logits.float(), (GRID, GRID), mode="bilinear", align_corners=False)
        return torch.nn.functional.cross_entropy(logits, target, weights, label_smoothing=0.02)

    train(model, loss_of, plan, kept, progress)
    return model


def pixel_accuracy(model: Any, pictures: Pictures) -> float:
    """Share of the colonies' pixels that get their genus."""
    right = total = 0
    norm = model.data_preprocessor
    with torch.inference_mode():
        for image, truth in zip(pictures.images, pictures.classes, strict=True):
            inputs = (torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] - norm.mean) / norm.std
            logits = model.decode_head(model.extract_feat(inputs))
            logits = torch.nn.functional.interpolate(logits, truth.shape, mode="bilinear", align_corners=False)
            found, true = logits[0].argmax(dim=0).numpy(), truth
            right += int(((found == true) & (true > 0)).sum())
            total += int((true > 0).sum())
    return right / max(total, 1)


def save_segformer(model: Any, file: Path) -> None:
    """As mmengine's Runner lays a checkpoint out, in half precision, without what only training needs."""
    state = {name: t.half() if t.is_floating_point() else t for name, t in model.state_dict().items()}
    torch.save({"meta": {"dataset_meta": {"classes": list(CLASSES)}}, "state_dict": state}, file)
