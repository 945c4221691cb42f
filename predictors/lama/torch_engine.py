"""TorchScript files, as LaMa's `big-lama.pt` is one."""

from __future__ import annotations

import os
from pathlib import Path

# Read when torch is first loaded: OpenMP's threads wait asleep.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from kelp.card import Card
from predictors.common.cpus import network_threads
from predictors.common.errors import WeightsError
from predictors.lama.engine import Floats


class TorchEngine:
    """A module (image [n, 3, H, W] 0..1, mask [n, 1, H, W]) → image."""

    def __init__(self, file: Path, card: Card) -> None:
        """WeightsError if the file cannot be used, or the card demands a device that is not there."""
        there = card.device != "cpu" and torch.cuda.is_available()
        if card.device == "cuda" and not there:
            raise WeightsError("the card demands device 'cuda'; torch finds none here")
        self._device = torch.device("cuda" if there else "cpu")
        torch.set_num_threads(network_threads(card))
        try:
            self._network = torch.jit.load(str(file), map_location=self._device).eval()
        except (RuntimeError, ValueError) as error:
            raise WeightsError(f"{file.name}: torch cannot load it as TorchScript: {str(error)[:300]}") from None

    def run(self, images: Floats, masks: Floats) -> Floats:
        with torch.inference_mode():
            answer = self._network(torch.from_numpy(images).to(self._device), torch.from_numpy(masks).to(self._device))
            filled: Floats = answer.float().contiguous().cpu().numpy()
            return filled

    def free_cached_memory(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
