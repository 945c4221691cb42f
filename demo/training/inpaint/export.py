"""The trained inpainter as TorchScript and as ONNX: equal, small, without paths."""

from __future__ import annotations

import zipfile
from pathlib import Path

import onnx
import torch

from demo.training.export import OPSET, forget
from demo.training.inpaint.network import Inpainter
from demo.training.recipes import InpaintRecipe


def export(recipe: InpaintRecipe, weights: Path, folder: Path) -> tuple[Path, Path]:
    """Writes NAME.pt (TorchScript) and NAME.onnx of a state dict into `folder`; returns their paths."""
    network = Inpainter(recipe.width)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad = False
    script, graph = folder / f"{recipe.name}.pt", folder / f"{recipe.name}.onnx"
    _save_script(network, script)
    _save_onnx(recipe, network, graph)
    return script, graph


def _save_script(network: Inpainter, target: Path) -> None:
    """What `torch.jit.save` writes, without the tables that lead back to the source's lines, paths and all."""
    whole = target.with_suffix(".part")
    torch.jit.save(torch.jit.script(network), str(whole))
    with zipfile.ZipFile(whole) as given, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as kept:
        for entry in sorted(given.namelist()):
            if not entry.endswith(".debug_pkl"):
                name = "/".join([target.stem, *entry.split("/")[1:]])
                kept.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), given.read(entry))
    whole.unlink()


def _save_onnx(recipe: InpaintRecipe, network: Inpainter, target: Path) -> None:
    sides = {0: "batch", 2: "height", 3: "width"}
    part = target.with_suffix(".part")
    torch.onnx.export(
        network, (torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)), str(part), dynamo=False, opset_version=OPSET,
        input_names=["image", "mask"], output_names=["filled"],
        dynamic_axes={"image": sides, "mask": sides, "filled": sides},
    )  # fmt: skip
    graph = onnx.load(part)
    part.unlink()
    forget(graph, recipe.name)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, target)
