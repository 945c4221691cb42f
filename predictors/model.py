"""What every model family implements: plain Python that knows no server, numpy in, numpy out.

`predictors.serving` calls `load` once and `predict` from one thread only; `preprocess` and `postprocess` may run in
other threads beside it and must not touch what `predict` uses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kelp.card import Card
from kelp.detections import Predictions
from kelp.settings.model import ModelSetting

RgbImage = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Item:
    """One image on its way through a model.

    image: uint8 [H, W, 3] RGB; settings: a value for each of the model's settings;
    outputs: names of the output tensors asked for (so that nothing else is computed);
    extras: this image's other inputs by tensor name (`mask` uint8 [H, W], `grid_points` float32 [K, 2], prompts…).
    """

    image: RgbImage
    settings: Mapping[str, Any]
    outputs: frozenset[str]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Model(ABC):
    """A model family. A subclass sees images of any size and answers in pixels of each original image."""

    own_settings: ClassVar[tuple[ModelSetting, ...]] = ()
    """What this family declares beyond the common table."""

    def __init__(self, card: Card, files: Mapping[str, Path]) -> None:
        """`files`: role → local file, its sha256 already verified. Nothing heavy is loaded yet."""
        self.card = card
        self.files = dict(files)

    @abstractmethod
    def load(self) -> None:
        """Load the weights and make ready to predict. Raises KelpError subclasses with a message for people."""

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """Names by label id: the card's, else what the weights carry. Known after `load`."""

    def check_files(self) -> None:
        """What is wrong with the files, as far as that is seen at once: WeightsError. Loads no network, and runs
        nothing of them; `kelp card check` asks for it."""

    def warm_up_items(self) -> Sequence[Item]:
        """Items whose prediction warms the model up; by default none."""
        return ()

    @abstractmethod
    def preprocess(self, items: Sequence[Item]) -> Any:
        """The batch that `predict` takes, for one or more items."""

    @abstractmethod
    def predict(self, batch: Any) -> Any:
        """Run the network. May raise the framework's own out-of-memory error: `is_out_of_memory` recognises it."""

    @abstractmethod
    def postprocess(self, raw: Any, items: Sequence[Item]) -> list[Predictions] | list[RgbImage]:
        """One result an item, in order: Predictions, or an image of the item's own size for inpainting."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether `error` means that the device's memory did not hold the batch."""
        return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"

    def free_cached_memory(self) -> None:
        """Give cached device memory back after running out of it."""
