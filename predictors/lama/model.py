"""LaMa as a model of Kelp: only masked pixels change, whatever the picture's size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kelp.card import Card
from kelp.errors import NotReady
from kelp.settings.model import ModelSetting
from predictors.common.errors import UntrustedWeights, WeightsError
from predictors.common.memory import is_out_of_memory
from predictors.lama.engine import Engine, open_engine
from predictors.lama.mask import grid_mask
from predictors.lama.tiles import Tile, padded, tiles_of
from predictors.model import Item, Model, RgbImage


class Prepared(NamedTuple):
    """image: uint8 [H, W, 3]; mask: uint8 [H, W], 1 where to fill; tiles: what the network is to see."""

    image: RgbImage
    mask: NDArray[np.uint8]
    tiles: list[Tile]


class Filled(NamedTuple):
    """patches: for each of an image's tiles what it keeps, uint8 [h, w, 3]."""

    prepared: Prepared
    patches: list[RgbImage]


class LamaModel(Model):
    """Fills what `mask` covers, or the lines through `grid_points`. Role `model`: TorchScript (`.pt`) or ONNX."""

    own_settings: ClassVar[tuple[ModelSetting, ...]] = (
        ModelSetting(
            "tile_px", "int", 2048, "side of the largest piece that the network sees at once", 256, 16384,
            tasks=frozenset({"inpaint"}),
        ),
    )  # fmt: skip

    def __init__(self, card: Card, files: Mapping[str, Path]) -> None:
        super().__init__(card, files)
        if card.task != "inpaint":
            raise WeightsError(f"{card.name}: runtime 'lama' has the task inpaint, not '{card.task}'")
        if "model" not in self.files:
            raise WeightsError(f"{card.name}: expected a file with the role 'model', got {', '.join(self.files)}")
        file = self.files["model"]
        if file.suffix != ".onnx" and card.weights.by_role()["model"].sha256 is None:
            raise UntrustedWeights(f"{card.name}: TorchScript is a program; its sha256 must stand in the card")
        self._engine: Engine | None = None

    def load(self) -> None:
        self._engine = open_engine(self.files["model"], self.card)

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    def warm_up_items(self) -> Sequence[Item]:
        mask = np.zeros((64, 64), np.uint8)
        mask[24:40, 24:40] = 1
        settings = {"grid_line_width": 8.0, "tile_px": 2048}
        return (Item(np.full((64, 64, 3), 128, np.uint8), settings, frozenset({"image"}), {"mask": mask}),)

    def preprocess(self, items: Sequence[Item]) -> list[Prepared]:
        return [self._prepare(item) for item in items]

    def predict(self, batch: list[Prepared]) -> list[Filled]:
        if self._engine is None:
            raise NotReady(f"{self.card.model_name}: the weights are not loaded yet")
        filled = [Filled(prepared, [np.empty(0, np.uint8)] * len(prepared.tiles)) for prepared in batch]
        for group in self._alike(filled):
            for (number, place), patch in zip(group, self._run(self._engine, filled, group), strict=True):
                filled[number].patches[place] = patch
        return filled

    def postprocess(self, raw: list[Filled], items: Sequence[Item]) -> list[RgbImage]:
        return [_composed(answer) for answer in raw]

    def is_out_of_memory(self, error: BaseException) -> bool:
        return super().is_out_of_memory(error) or is_out_of_memory(error)

    def free_cached_memory(self) -> None:
        if self._engine is not None:
            self._engine.free_cached_memory()

    def _prepare(self, item: Item) -> Prepared:
        size_hw = (item.image.shape[0], item.image.shape[1])
        mask = item.extras.get("mask")
        if mask is None:
            shape = self.card.grid_shape or (9, 13)
            mask = grid_mask(item.extras["grid_points"], shape, item.settings["grid_line_width"], size_hw)
        side = int(item.settings["tile_px"])
        return Prepared(item.image, mask, list(tiles_of(mask, side, margin=side // 8)))

    def _alike(self, filled: list[Filled]) -> Iterator[list[tuple[int, int]]]:
        """(image, tile) of all tiles, those of one shape together, as many as go through the network at once."""
        by_shape: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for number, answer in enumerate(filled):
            for place, tile in enumerate(answer.prepared.tiles):
                top, left, bottom, right = tile.seen
                by_shape[-(-(bottom - top) // 8), -(-(right - left) // 8)].append((number, place))
        for group in by_shape.values():
            for start in range(0, len(group), self.card.batch.max_images):
                yield group[start : start + self.card.batch.max_images]

    def _run(self, engine: Engine, filled: list[Filled], group: list[tuple[int, int]]) -> Iterator[RgbImage]:
        images, masks = [], []
        for number, place in group:
            prepared = filled[number].prepared
            top, left, bottom, right = prepared.tiles[place].seen
            images.append(padded(prepared.image[top:bottom, left:right]))
            masks.append(padded(prepared.mask[top:bottom, left:right]))
        pixels = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2), np.float32) / np.float32(255)
        holes = np.stack(masks)[:, None].astype(np.float32)
        answer = engine.run(pixels, holes)
        if answer.shape != pixels.shape:
            raise WeightsError(
                f"{self.files['model'].name}: the network answered {list(answer.shape)} to {list(pixels.shape)}"
            )
        for (number, place), picture in zip(group, answer, strict=True):
            tile = filled[number].prepared.tiles[place]
            top, left = tile.kept[0] - tile.seen[0], tile.kept[1] - tile.seen[1]
            height, width = tile.kept[2] - tile.kept[0], tile.kept[3] - tile.kept[1]
            kept = picture[:, top : top + height, left : left + width].transpose(1, 2, 0)
            yield np.clip(np.rint(kept * 255), 0, 255).astype(np.uint8)


def _composed(filled: Filled) -> RgbImage:
    """The original with its masked pixels, and no others, from the patches."""
    image = filled.prepared.image.copy()
    for tile, patch in zip(filled.prepared.tiles, filled.patches, strict=True):
        top, left, bottom, right = tile.kept
        hole = filled.prepared.mask[top:bottom, left:right] != 0
        image[top:bottom, left:right][hole] = patch[hole]
    return image
