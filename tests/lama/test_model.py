"""Inpainting end to end in one process: sizes, tiles, both engines, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kelp.card import Card
from predictors.common.errors import UntrustedWeights, WeightsError
from predictors.lama.model import LamaModel
from predictors.lama.tiles import tiles_of
from predictors.model import Item
from tests.lama.networks import REACH, Halving, Surroundings, onnx, torchscript

SHA = "0" * 64  # a file's sha256 is checked where it is fetched, before a model sees it


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("lama")
    return {
        "pt": torchscript(folder / "surroundings.pt", Surroundings()),
        "onnx": onnx(folder / "surroundings.onnx", Surroundings()),
        "halving": torchscript(folder / "halving.pt", Halving()),
    }


def model(file: Path, sha256: str | None = SHA) -> LamaModel:
    card = Card.model_validate(
        {
            "name": "remover", "runtime": "lama", "task": "inpaint", "grid_shape": [2, 2],
            "weights": {"uri": str(file), **({"sha256": sha256} if sha256 else {})},
        }
    )  # fmt: skip
    return LamaModel(card, {"model": file})


def item(image: np.ndarray, tile_px: int = 2048, **extras: np.ndarray) -> Item:
    return Item(image, {"grid_line_width": 5.0, "tile_px": tile_px}, frozenset({"image"}), extras)


def answer(loaded: LamaModel, *items: Item) -> list[np.ndarray]:
    return loaded.postprocess(loaded.predict(loaded.preprocess(items)), items)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("engine", ["pt", "onnx"])
@pytest.mark.parametrize("size", [(64, 64), (61, 83), (1, 9), (200, 37)])
def test_only_masked_pixels_change_at_any_size(files, engine, size):
    loaded = model(files[engine])
    loaded.load()
    image = picture(*size)
    mask = (np.random.default_rng(1).random(size) < 0.2).astype(np.uint8)
    mask[0, 0] = 1
    (filled,) = answer(loaded, item(image, mask=mask))
    assert filled.dtype == np.uint8
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])
    assert (filled[mask == 1] != image[mask == 1]).any()


def test_pictures_of_several_sizes_in_one_batch_come_back_each_as_itself(files):
    loaded = model(files["pt"])
    loaded.load()
    items = []
    for seed, size in enumerate([(64, 64), (40, 72), (64, 64), (30, 30)]):
        mask = np.zeros(size, np.uint8)
        mask[10:20, 5:25] = 1
        items.append(item(picture(*size, seed=seed), mask=mask))
    together = answer(loaded, *items)
    for one, alone in zip(together, (answer(loaded, one)[0] for one in items), strict=True):
        np.testing.assert_allclose(one.astype(int), alone, atol=1)


def test_tiles_give_what_the_whole_gives(files):
    """The network sees REACH pixels far, the tiles' margin is wider: no seam can be seen."""
    loaded = model(files["pt"])
    loaded.load()
    image = picture(704, 904)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[::37] = 1
    mask[:, ::53] = 1
    assert REACH < 256 // 8
    (whole,) = answer(loaded, item(image, mask=mask))
    (tiled,) = answer(loaded, item(image, tile_px=256, mask=mask))
    np.testing.assert_allclose(tiled.astype(int), whole, atol=1)


def test_tiles_cover_all_that_is_masked_once_and_nothing_else():
    mask = np.zeros((1000, 1500), np.uint8)
    mask[100:900:50, 20] = 1
    mask[999, 1499] = 1
    times = np.zeros(mask.shape, int)
    for tile in tiles_of(mask, 256, 32):
        assert max(tile.seen[2] - tile.seen[0], tile.seen[3] - tile.seen[1]) <= 256
        times[tile.kept[0] : tile.kept[2], tile.kept[1] : tile.kept[3]] += 1
    assert times.max() == 1
    assert times[mask == 1].all()
    assert times.mean() < 0.3


def test_the_lines_of_a_grid_go(files):
    loaded = model(files["pt"])
    loaded.load()
    image = np.full((120, 160, 3), 90, np.uint8)
    image[38:43] = image[78:83] = 255
    image[:, 48:53] = image[:, 108:113] = 255
    points = np.array([[50, 40], [110, 40], [50, 80], [110, 80]], np.float32)
    (filled,) = answer(loaded, item(image, grid_points=points))
    assert np.abs(filled.astype(int) - 90).max() <= 1


def test_without_anything_to_remove_the_picture_stays(files):
    loaded = model(files["pt"])
    loaded.load()
    image = picture(50, 50)
    (same,) = answer(loaded, item(image, mask=np.zeros((50, 50), np.uint8)))
    np.testing.assert_array_equal(same, image)


def test_weights_that_cannot_be_used_are_named(files, tmp_path):
    with pytest.raises(UntrustedWeights, match="sha256 must stand in the card"):
        model(files["pt"], sha256=None)
    (tmp_path / "broken.pt").write_bytes(b"no archive")
    with pytest.raises(WeightsError, match=r"broken\.pt: torch cannot load it"):
        model(tmp_path / "broken.pt").load()
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"weights\.bin: expected a TorchScript file"):
        model(tmp_path / "weights.bin").load()
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(WeightsError, match=r"broken\.onnx: onnxruntime cannot load it"):
        model(tmp_path / "broken.onnx").load()
    halving = model(files["halving"])
    halving.load()
    with pytest.raises(WeightsError, match=r"the network answered \[1, 3, 32, 32\] to \[1, 3, 64, 64\]"):
        answer(halving, *halving.warm_up_items())
