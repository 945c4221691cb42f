"""Networks with random weights: small, quick to make, and they find plenty of nonsense, alike in every engine."""

from __future__ import annotations

from pathlib import Path

import torch
import ultralytics
import yaml
from ultralytics import YOLO

IMGSZ = 128
# name → (ultralytics' plan, task, labels, what is set in the plan).
PLANS: dict[str, tuple[str, str, int, dict[str, object]]] = {
    "segment": ("11/yolo11-seg.yaml", "segment", 3, {}),
    "detect": ("11/yolo11.yaml", "detect", 5, {}),
    "pose": ("11/yolo11-pose.yaml", "pose", 1, {"kpt_shape": [4, 3]}),
    # Two heads, one of them for answers without suppression.
    "segment-two-heads": ("26/yolo26-seg.yaml", "segment", 3, {"end2end": True}),
    "pose-two-heads": ("26/yolo26-pose.yaml", "pose", 2, {"end2end": True, "kpt_shape": [5, 2]}),
}


def build(name: str, folder: Path, **settings: object) -> tuple[Path, Path]:
    """NAME.pt, and NAME.onnx of a fixed size and batch, in `folder`; `settings` are ultralytics' own of the export."""
    weights = checkpoint(name, folder)
    settings = {"imgsz": IMGSZ, "simplify": False, "opset": 17, "device": "cpu", **settings}
    return weights, Path(YOLO(weights).export(format="onnx", **settings))


def checkpoint(name: str, folder: Path) -> Path:
    """NAME.pt in `folder`."""
    source, task, labels, changes = PLANS[name]
    plan = yaml.safe_load((Path(ultralytics.__file__).parent / "cfg" / "models" / source).read_text())
    plan |= {"nc": labels, "scales": {"n": [0.33, 0.125, 256]}, "scale": "n", **changes}
    plan_file = folder / f"{name}.yaml"
    plan_file.write_text(yaml.safe_dump(plan))
    torch.manual_seed(3)
    model = YOLO(plan_file, task=task)
    head = model.model.model[-1]
    # Scores around one half instead of near zero: something is found at any threshold.
    for branches in (head.cv3, getattr(head, "one2one_cv3", None) or ()):
        for branch in branches:
            branch[-1].bias.data.zero_()
            branch[-1].weight.data.mul_(20)
    model.model.names = {i: f"label {i}" for i in range(labels)}
    model.ckpt = {"train_args": {"imgsz": IMGSZ, "task": task}}
    weights = folder / f"{name}.pt"
    model.save(weights)
    return weights
