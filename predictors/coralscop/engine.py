"""Both networks, on one device."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Read when torch is first loaded: OpenMP's threads wait asleep.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from kelp.card import Card
from predictors.common.cpus import network_threads
from predictors.common.errors import WeightsError
from predictors.coralscop import semantics
from predictors.coralscop.checkpoint import read_checkpoint
from predictors.coralscop.config import read_config
from predictors.coralscop.found import Found
from predictors.coralscop.masks import MaskFinder
from predictors.coralscop.sam import build_sam


class Given(NamedTuple):
    """One image: its own size, as SAM takes it (uint8 [h, w, 3]), and as the semantic model does."""

    size_hw: tuple[int, int]
    resized: NDArray[np.uint8]
    semantic: semantics.Given


class Engine:
    """A semantic model and a SAM."""

    def __init__(self, card: Card, config: Path, segformer: Path, sam: Path, config_sha256: str | None) -> None:
        """WeightsError if a file cannot be used, or the card demands a device that is not there."""
        there = card.device != "cpu" and torch.cuda.is_available()
        if card.device == "cuda" and not there:
            raise WeightsError("the card demands device 'cuda'; torch finds none here")
        self._device = torch.device("cuda" if there else "cpu")
        torch.set_num_threads(network_threads(card))
        self._semantic = semantics.SemanticModel(
            read_config(config, config_sha256), read_checkpoint(segformer), self._device, (config, segformer)
        )
        self._masks = MaskFinder(build_sam(read_checkpoint(sam).tensors, sam.name).to(self._device))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by class as the weights tell them; empty where they do not."""
        return self._semantic.class_names

    @property
    def class_count(self) -> int:
        return self._semantic.class_count

    def prepare(self, image: NDArray[np.uint8]) -> Given:
        """uint8 [H, W, 3] RGB, on the CPU; may run beside `run`."""
        size_hw = (image.shape[0], image.shape[1])
        return Given(size_hw, self._masks.resized(image), self._semantic.prepare(image))

    def run(
        self, given: Sequence[Given], settings: Sequence[Mapping[str, Any]]
    ) -> list[tuple[Found, NDArray[np.uint8]]]:
        """Of each image its masks, and the class of each of its pixels, uint8 [H, W]."""
        with torch.inference_mode():
            classes = self._semantic.label_maps([each.semantic for each in given])
            embeddings = self._masks.embed([each.resized for each in given])
            found = []
            for number, each in enumerate(given):
                input_hw = (each.resized.shape[0], each.resized.shape[1])
                masks = self._masks.find(embeddings[number : number + 1], input_hw, each.size_hw, settings[number])
                found.append((masks, classes[number]))
            return found

    def free_cached_memory(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
