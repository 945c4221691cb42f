"""One recipe's training, to be taken up again where it was killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ultralytics import YOLO
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import SETTINGS

from demo.reef import GENUS_NAMES
from demo.training.norms import trainable
from demo.training.pictures import read_rgb
from demo.training.recipes import Recipe


def train(recipe: Recipe, data: Path, folder: Path) -> Path:
    """Trains to the end, from the last finished epoch if `folder` holds one; returns the trained checkpoint.

    data: data.yaml of `dataset.build`. kept.pt is written after each epoch, in one piece; done.txt after the last one.
    """
    SETTINGS.update({"sync": False, "runs_dir": str(folder), "datasets_dir": str(data.parent)})
    weights = folder / "train" / "weights" / "last.pt"
    done = folder / "done.txt"
    if done.exists() and weights.exists():
        return weights
    kept = weights.with_name("kept.pt")
    started = kept.exists()
    if started:
        shutil.copyfile(kept, weights)
    model = YOLO(weights if started else _beginning(recipe, data, folder), task=recipe.task)
    model.add_callback("on_model_save", lambda trainer: _keep(trainer.last, kept))
    _use_half_precision(model)
    if started:
        model.train(resume=True)
    else:
        model.train(
            data=str(data),
            project=str(folder),
            name="train",
            exist_ok=True,
            imgsz=recipe.imgsz,
            epochs=recipe.epochs,
            batch=recipe.batch,
            # Every batch is a step: the default gathers 64 pictures first.
            nbs=recipe.batch,
            optimizer="AdamW",
            lr0=recipe.rate,
            lrf=0.02,
            cos_lr=True,
            warmup_epochs=0.5,
            weight_decay=0.0005,
            device="cpu",
            workers=1,
            cache="ram",
            seed=7,
            deterministic=True,
            amp=False,
            plots=False,
            val=False,
            # Validation of the few pictures happens once, at the end; the card's quality is measured elsewhere.
            patience=0,
            **_augmentation(recipe),
        )
    done.write_text(f"{torch.__version__}\n")
    return weights


def _beginning(recipe: Recipe, data: Path, folder: Path) -> Path:
    """The layers' plan, or a checkpoint of the weights that the recipe begins with, its labels cut down to its own."""
    if recipe.begin_with is None:
        return recipe.layers
    files = sorted((data.parent / "images" / "train").glob("*.jpg"))[:32]
    pictures = np.stack([read_rgb(file) for file in files]).transpose(0, 3, 1, 2)
    model = trainable(recipe.begin_with, torch.from_numpy(np.ascontiguousarray(pictures)).float() / 255)
    chosen = [GENUS_NAMES.index(name) for name in recipe.genera]
    head = model.model[-1]
    for branch in head.cv3:
        last = branch[-1]
        last.weight.data, last.bias.data = last.weight.data[chosen], last.bias.data[chosen]
        last.out_channels = len(chosen)
    head.nc = len(chosen)
    head.no = head.nc + 4 * head.reg_max
    model.yaml = {**model.yaml, "nc": len(chosen)}
    model.names = dict(enumerate(recipe.genera))
    for parameter in model.parameters():
        parameter.requires_grad = True
    file = folder / "beginning.pt"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model, "train_args": model.args, "epoch": -1}, file)
    return file


def _keep(last: Path, kept: Path) -> None:
    """A copy of last.pt: that is written in place, and a kill while it is leaves half of it."""
    part = kept.with_suffix(".part")
    shutil.copyfile(last, part)
    part.replace(kept)


def _use_half_precision(model: YOLO) -> None:
    """bfloat16 in the layers where the processor computes with it: half the time for the same result.

    ultralytics' own switch is for GPUs alone.
    """
    able = torch.cpu.get_capabilities()
    if not (able.get("avx512_bf16") or able.get("amx_bf16")):
        return

    def switch(on: bool) -> Callable[[BaseTrainer], None]:
        return lambda trainer: setattr(trainer, "amp", on)

    model.add_callback("on_train_epoch_start", switch(True))
    model.add_callback("on_train_epoch_end", switch(False))


def _augmentation(recipe: Recipe) -> dict[str, float]:
    """Changes of colour, place and size; no mosaics: quadrats are photographed whole."""
    mirrored = 0.0 if recipe.task == "pose" else 0.5
    return {
        "mosaic": 0.0,
        "hsv_h": 0.01,
        "hsv_s": 0.3,
        "hsv_v": 0.3,
        "scale": 0.2,
        "translate": 0.06,
        "fliplr": mirrored,
        "flipud": mirrored,
        "erasing": 0.0,
    }
