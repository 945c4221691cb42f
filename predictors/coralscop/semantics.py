"""The semantic model: which class each pixel of an image has, by mmsegmentation's own code and the config's own test.

Its test pipeline brings an image to the model's size, its test_cfg says whether the model sees it whole or in windows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from predictors.common.errors import WeightsError
from predictors.coralscop.checkpoint import Checkpoint
from predictors.coralscop.segmentor import build_pipeline, build_segmentor, load_weights

_MOST_CLASSES = 256


class Given(NamedTuple):
    """An image as the test pipeline leaves it: the tensor, and mmsegmentation's sample with what was done to it."""

    inputs: torch.Tensor
    sample: Any


class SemanticModel:
    """A segmentor of mmsegmentation."""

    def __init__(self, config: Any, checkpoint: Checkpoint, device: torch.device, files: tuple[Path, Path]) -> None:
        """files: the config's and the checkpoint's, for errors. WeightsError where the two do not fit together."""
        model = build_segmentor(config, files[0].name)
        load_weights(model, checkpoint, files)
        if not 2 <= model.out_channels <= _MOST_CLASSES:
            raise WeightsError(
                f"{files[0].name}: expected 2 to {_MOST_CLASSES} classes of pixels, got {model.out_channels}"
            )
        self._pipeline = build_pipeline(config, files[0].name)
        self._model = model.to(device)
        self.class_count: int = model.out_channels
        self.class_names = _class_names(config, checkpoint, model.out_channels)

    def prepare(self, image: NDArray[np.uint8]) -> Given:
        """uint8 [H, W, 3] RGB through the config's test pipeline, on the CPU."""
        packed = self._pipeline({"img": np.ascontiguousarray(image[..., ::-1])})
        return Given(packed["inputs"], packed["data_samples"])

    def label_maps(self, given: Sequence[Given]) -> list[NDArray[np.uint8]]:
        """Of each image its pixels' classes, uint8 [H, W] in the image's own size. Images of one shape go together."""
        alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, each in enumerate(given):
            alike[tuple(each.inputs.shape)].append(number)
        maps: dict[int, NDArray[np.uint8]] = {}
        for numbers in alike.values():
            maps.update(zip(numbers, self._run([given[number] for number in numbers]), strict=True))
        return [maps[number] for number in range(len(given))]

    def _run(self, given: list[Given]) -> Iterator[NDArray[np.uint8]]:
        batch = {"inputs": [each.inputs for each in given], "data_samples": [each.sample for each in given]}
        batch = self._model.data_preprocessor(batch, False)
        metas = [sample.metainfo for sample in batch["data_samples"]]
        logits = self._model.inference(batch["inputs"], metas)
        for number, sample in enumerate(batch["data_samples"]):
            yield self._classes(logits[number : number + 1], sample.metainfo).cpu().numpy()

    def _classes(self, logits: torch.Tensor, meta: dict[str, Any]) -> torch.Tensor:
        """The strongest class a pixel, as mmsegmentation's `postprocess_result`, one class after the other: all of them
        at the size of a photograph would fill the memory."""
        left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", (0, 0, 0, 0)))
        height, width = logits.shape[-2:]
        logits = logits[..., top : height - bottom, left : width - right]
        size = tuple(meta["ori_shape"])
        align = bool(self._model.align_corners)
        strongest = torch.full(size, -torch.inf, device=logits.device)
        classes = torch.zeros(size, dtype=torch.uint8, device=logits.device)
        for number in range(logits.shape[1]):
            one = torch.nn.functional.interpolate(
                logits[:, number : number + 1].float(), size, mode="bilinear", align_corners=align
            )[0, 0]
            classes[one > strongest] = number
            torch.maximum(strongest, one, out=strongest)
        return classes


def _class_names(config: Any, checkpoint: Checkpoint, count: int) -> tuple[str, ...]:
    """Names by class, from the checkpoint or the config; empty where neither tells them, or tells another number."""
    dataset = checkpoint.meta.get("dataset_meta")
    told = [dataset.get("classes")] if isinstance(dataset, dict) else []
    told.append(checkpoint.meta.get("CLASSES"))
    place = (config.get("test_dataloader") or {}).get("dataset") or {}
    told += [(meta or {}).get("classes") for meta in (config.get("metainfo"), place.get("metainfo"))]
    for names in told:
        if isinstance(names, (list, tuple)) and len(names) == count and all(isinstance(n, str) for n in names):
            return tuple(names)
    return ()
