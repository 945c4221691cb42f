"""TensorRT engines (`.engine`) by ultralytics' own backend: on the GPU that they were made on, or one like it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from kelp.card import Card
from predictors.common.errors import WeightsError
from predictors.yolo.engine import Floats, Raw
from predictors.yolo.engine_header import read_header
from predictors.yolo.facts import SMALLEST_STRIDE, Facts, names_of, size_of
from predictors.yolo.tensorrt_here import missing

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")


_DEVICE = "cuda:0"


class TensorRtEngine:
    """An engine that ultralytics or `kelp export` has made; the metadata before it tell of labels, size and task."""

    def __init__(self, file: Path, card: Card) -> None:
        """WeightsError if the file cannot be used here: no GPU, no TensorRT, or another one's engine."""
        _, metadata = read_header(file)
        self.facts = _facts(metadata, file.name)
        if card.device == "cpu":
            raise WeightsError(f"{file.name}: a TensorRT engine runs on a GPU, and the card says device 'cpu'")
        if lacking := missing():
            raise WeightsError(f"{file.name}: a TensorRT engine needs what is not here: {'; '.join(lacking)}")
        import torch

        self._torch = torch
        self._device = torch.device(_DEVICE)
        # Of a batch of any size the profile has an upper end: the one it was made for.
        self._most = max(1, int(metadata.get("batch", 1)))
        self._backend = _backend(file, self._device)

    def run(self, images: Floats) -> Raw:
        parts = [self._run(images[start : start + self._most]) for start in range(0, len(images), self._most)]
        if len(parts) == 1:
            return parts[0]
        protos = [part.protos for part in parts if part.protos is not None]
        predictions = np.concatenate([part.predictions for part in parts])
        return Raw(predictions, np.concatenate(protos) if protos else None)

    def free_cached_memory(self) -> None:
        self._torch.cuda.empty_cache()

    def _run(self, images: Floats) -> Raw:
        count = len(images)
        if self.facts.batch and count < self.facts.batch:
            images = np.concatenate((images, np.zeros((self.facts.batch - count, *images.shape[1:]), np.float32)))
        with self._torch.inference_mode():
            batch = self._torch.from_numpy(images).to(self._device)
            # Its answers lie in buffers that the next call writes over: copied before anybody else runs.
            answers = self._backend(batch.half() if self._backend.fp16 else batch)
            first, *rest = (answer[:count].float().cpu().numpy().copy() for answer in answers)
        return Raw(first, rest[0] if rest else None)


def _backend(file: Path, device: Any) -> Any:
    from ultralytics.nn.backends.tensorrt import TensorRTBackend

    try:
        return TensorRTBackend(file, device)
    except Exception as error:  # TensorRT's and CUDA's errors have no common base but this
        raise WeightsError(
            f"{file.name}: TensorRT cannot load it ({type(error).__name__}: {str(error)[:300]}). An engine belongs to "
            "the kind of GPU and the version of TensorRT that it was made with: make it anew here with `kelp export`"
        ) from None


def _facts(metadata: dict[str, Any], file: str) -> Facts:
    arguments = metadata.get("args")
    arguments = arguments if isinstance(arguments, dict) else {}
    any_size = bool(metadata.get("dynamic", arguments.get("dynamic", False)))
    stride = max(int(metadata.get("stride", SMALLEST_STRIDE)), SMALLEST_STRIDE)
    keypoints = metadata.get("kpt_shape")
    return Facts(
        task=metadata.get("task"),
        names=names_of(metadata.get("names", {}), file),
        input_hw=size_of(metadata.get("imgsz", 640), stride if any_size else 1, file),
        stride=stride,
        any_size=any_size,
        batch=None if any_size else max(1, int(metadata.get("batch", 1))),
        keypoint_shape=(int(keypoints[0]), int(keypoints[1])) if keypoints else None,
        finished=bool(metadata.get("end2end") or arguments.get("nms")),
    )
