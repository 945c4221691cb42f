"""Checkpoints (`.pt`, `.pth`) by torch, with ultralytics' layers.

As little of ultralytics as possible is imported: the layers that the checkpoint names, none of its trainer, predictor
or command line, and no torchvision.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kelp.card import Card
from predictors.common.cpus import network_threads
from predictors.common.errors import WeightsError
from predictors.yolo.engine import Floats, Raw
from predictors.yolo.facts import SMALLEST_STRIDE, Facts, names_of, size_of

# ultralytics looks for updates, packages and a network when it is imported, unless told not to.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")
# Read when torch is first loaded: OpenMP's threads wait asleep. Waiting actively they slow a network down tenfold as
# soon as another process wants the same processors.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from predictors.yolo.checkpoint.read import read_checkpoint


class TorchEngine:
    """A checkpoint as ultralytics trains it, its convolutions and norms fused."""

    def __init__(self, file: Path, card: Card) -> None:
        """WeightsError if the file cannot be used, or the card demands a device that is not there."""
        self._device = _device(card.device)
        torch.set_num_threads(network_threads(card))
        checkpoint = read_checkpoint(file)
        network = network_of(checkpoint, file.name)
        self.facts = _facts(network, checkpoint, file.name)
        network.to(self._device)
        self._layout = torch.channels_last
        self._network = network.to(memory_format=self._layout)

    def run(self, images: Floats) -> Raw:
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self._device).contiguous(memory_format=self._layout)
            answer = self._network(batch)
            # In evaluation a head answers with (what it found, what it saw), a segmenter with ((found, protos), seen).
            found = answer[0] if isinstance(answer, tuple) else answer
            predictions, protos = found if isinstance(found, tuple) else (found, None)
            return Raw(_array(predictions), None if protos is None else _array(protos))

    def free_cached_memory(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _array(tensor: torch.Tensor) -> Floats:
    array: Floats = tensor.float().contiguous().cpu().numpy()
    return array


def _device(wanted: str) -> torch.device:
    there = wanted != "cpu" and torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise WeightsError("the card demands device 'cuda'; torch finds none here")
    return torch.device("cuda" if there else "cpu")


def network_of(checkpoint: dict[str, Any], file: str) -> Any:
    """The checkpoint's network, single precision, fused, to be evaluated. WeightsError where it holds none of use."""
    network = checkpoint.get("ema") or checkpoint.get("model")
    if not isinstance(network, torch.nn.Module) or not hasattr(network, "fuse"):
        raise WeightsError(f"{file}: the checkpoint holds no ultralytics model")
    if checkpoint.get("modelopt"):
        raise WeightsError(f"{file}: a quantised checkpoint; export it to ONNX, or use the one before quantisation")
    for layer in network.modules():
        if isinstance(layer, torch.nn.Upsample) and not hasattr(layer, "recompute_scale_factor"):
            layer.recompute_scale_factor = None  # saved by a torch before 1.11
    if getattr(network, "end2end", None) is not None:
        # Of two heads the one whose answers suppression goes over, as ultralytics' `predict` chooses.
        network.end2end = False
    for parameter in network.parameters():
        parameter.requires_grad = False
    return network.float().fuse(verbose=False).eval()


def _facts(network: Any, checkpoint: dict[str, Any], file: str) -> Facts:
    strides = getattr(network, "stride", None)
    stride = max(int(strides.max()) if strides is not None else 0, SMALLEST_STRIDE)
    head = network.model[-1]
    keypoints = getattr(head, "kpt_shape", None)
    arguments = checkpoint.get("train_args") or {}
    imgsz = arguments.get("imgsz", 640) if isinstance(arguments, dict) else 640
    return Facts(
        task=_TASKS.get(type(head).__name__, getattr(network, "task", None)),
        names=names_of(getattr(network, "names", {}), file),
        input_hw=size_of(imgsz, stride, file),
        stride=stride,
        any_size=True,
        batch=None,
        keypoint_shape=(int(keypoints[0]), int(keypoints[1])) if keypoints else None,
        finished=bool(getattr(head, "end2end", False)),
    )


_TASKS = {
    "Detect": "detect",
    "v10Detect": "detect",
    "Segment": "segment",
    "Segment26": "segment",
    "Pose": "pose",
    "Pose26": "pose",
}
