"""From a training's checkpoint to the files that are shipped: .pt and .onnx, small, equal, without paths or dates."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import torch
import ultralytics
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from ultralytics import YOLO

from demo.training.recipes import PoseRecipe, Recipe

OPSET = 17
# What a loader needs to know of how the model was trained; the rest (paths, dates, machine) stays behind.
_KEPT_ARGS = ("task", "imgsz", "overlap_mask", "mask_ratio", "single_cls")
_KEPT_METADATA = (
    "stride",
    "task",
    "batch",
    "imgsz",
    "names",
    "args",
    "channels",
    "end2end",
    "kpt_shape",
    "head",
    "version",
)


def export(recipe: Recipe | PoseRecipe, checkpoint: Path, folder: Path) -> tuple[Path, Path]:
    """Writes NAME.pt and NAME.onnx of a checkpoint of our own training into `folder`; returns their paths.

    Both hold the same half precision numbers and compute in single precision, so that they find the same things.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{recipe.name}.pt"
    _save_pt(recipe, checkpoint, weights)
    return weights, _save_onnx(recipe, weights)


def _save_pt(recipe: Recipe | PoseRecipe, checkpoint: Path, target: Path) -> None:
    # A pickle, but one that this machine has just written itself.
    loaded: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=False)
    model = (loaded.get("ema") or loaded["model"]).float().eval()
    for module in model.modules():
        _fold(module)
    model.yaml = {key: value for key, value in model.yaml.items() if key != "yaml_file"}
    model.args = {key: value for key, value in dict(loaded["train_args"]).items() if key in _KEPT_ARGS}
    model.criterion = None
    for name in ("pt_path", "yaml_file", "optimizer"):
        if hasattr(model, name):
            delattr(model, name)
    for parameter in model.parameters():
        parameter.requires_grad = False
    torch.save(
        {"model": model.half(), "train_args": model.args, "version": ultralytics.__version__, "epoch": -1}, target
    )


def _fold(module: nn.Module) -> None:
    """Moves a batch norm's scale and shift into its convolution, and leaves a norm that only adds the shift.

    Rounding to half precision then happens once, before anybody fuses the two, and fusing them is exact.
    """
    conv, norm = getattr(module, "conv", None), getattr(module, "bn", None)
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        return
    scale = norm.weight.data / torch.sqrt(norm.running_var + norm.eps)
    norm.bias.data = norm.bias.data - norm.running_mean * scale
    conv.weight.data = conv.weight.data * scale[:, None, None, None]
    norm.weight.data.fill_(1)
    norm.running_mean.zero_()
    norm.running_var.fill_(1)
    norm.eps = 0.0


def _save_onnx(recipe: Recipe | PoseRecipe, weights: Path) -> Path:
    work = weights.with_name(f".{weights.stem}-export.pt")
    shutil.copyfile(weights, work)
    try:
        exported = Path(
            YOLO(work).export(format="onnx", imgsz=recipe.imgsz, dynamic=True, simplify=True, opset=OPSET, device="cpu")
        )
        graph = onnx.load(exported)
        exported.unlink()
    finally:
        work.unlink(missing_ok=True)
    _halve(graph)
    forget(graph, recipe.name)
    onnx.checker.check_model(graph, full_check=True)
    target = weights.with_suffix(".onnx")
    onnx.save(graph, target)
    return target


def _halve(graph: onnx.ModelProto) -> None:
    """Stores every single precision weight that half precision holds exactly as such, and widens it again in the graph.

    onnxruntime folds the casts when it loads the file: the sums are done in single precision as before.
    """
    casts = []
    for tensor in graph.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        small = values.astype("float16")
        if values.size < 16 or not (small.astype("float32") == values).all():
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(small, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.widen", to=TensorProto.FLOAT))
    for node in reversed(casts):
        graph.graph.node.insert(0, node)


def forget(graph: onnx.ModelProto, name: str) -> None:
    """Keeps of the metadata what a reader needs; dates, descriptions, stack traces and paths go."""
    kept = {entry.key: entry.value for entry in graph.metadata_props if entry.key in _KEPT_METADATA}
    kept["description"] = f"{name}: trained on Kelp's synthetic reef"
    helper.set_model_props(graph, kept)
    graph.doc_string = ""
    graph.graph.doc_string = ""
    # Shapes between the nodes are inferred again by whoever loads the file.
    graph.graph.ClearField("value_info")
    for node in graph.graph.node:
        node.doc_string = ""
        node.ClearField("metadata_props")
    for value in (*graph.graph.input, *graph.graph.output):
        value.doc_string = ""
        value.ClearField("metadata_props")


def describe(onnx_file: Path) -> dict[str, str]:
    """The metadata of an exported file."""
    return {entry.key: entry.value for entry in onnx.load(onnx_file, load_external_data=False).metadata_props}


def write_json(path: Path, value: object) -> None:
    """Writes a value as readable JSON."""
    path.write_text(json.dumps(value, indent=2) + "\n")
