"""The map of classes is mmsegmentation's own, by the config's test pipeline and test mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from predictors.common.errors import WeightsError
from predictors.coralscop.checkpoint import read_checkpoint
from predictors.coralscop.config import read_config
from predictors.coralscop.semantics import SemanticModel
from tests.coralscop import tiny

SIZES = [(100, 140), (300, 200), (98, 98), (61, 333)]
WHOLE = tiny.CONFIG.replace("mode='slide', crop_size=(56, 56), stride=(28, 28)", "mode='whole'")
FLOATS = tiny.CONFIG.replace("'LoadImageFromFile'", "'LoadImageFromFile', to_float32=True")
UNSCALED = WHOLE.replace("    dict(type='Resize', scale=(98, 98), keep_ratio=True),\n", "")


def load(folder: Path) -> SemanticModel:
    files = (folder / "config.py", folder / "best_mIoU.pth")
    return SemanticModel(read_config(files[0], None), read_checkpoint(files[1]), torch.device("cpu"), files)


@pytest.mark.parametrize("config", [tiny.CONFIG, WHOLE, FLOATS, UNSCALED], ids=["slide", "whole", "floats", "unscaled"])
def test_maps_are_those_of_mmsegmentation(tmp_path: Path, config: str) -> None:
    semantic = load(tiny.write(tmp_path, config))
    from mmseg.apis import inference_model  # after its kernels have got their stand-ins

    theirs = semantic._model
    theirs.cfg = read_config(tmp_path / "config.py", None)
    kinds = set()
    for seed, size in enumerate(SIZES):
        image = tiny.picture(*size, seed=seed)
        with torch.inference_mode():
            (classes,) = semantic.label_maps([semantic.prepare(image)])
        expected = inference_model(theirs, np.ascontiguousarray(image[..., ::-1])).pred_sem_seg.data[0].numpy()
        assert classes.shape == size
        assert classes.dtype == np.uint8
        assert (classes != expected).mean() < 1e-4
        kinds |= set(np.unique(classes))
    assert len(kinds) >= 3


def test_images_of_several_shapes_come_back_each_as_itself(folder: Path) -> None:
    semantic = load(folder)
    images = [tiny.picture(*size, seed=seed) for seed, size in enumerate([(60, 90), (80, 80), (60, 90), (50, 75)])]
    with torch.inference_mode():
        together = semantic.label_maps([semantic.prepare(image) for image in images])
        alone = [semantic.label_maps([semantic.prepare(image)])[0] for image in images]
    for one, other in zip(together, alone, strict=True):
        assert (one != other).mean() < 1e-3


@pytest.mark.parametrize(
    ("meta", "config", "expected"),
    [
        ({"dataset_meta": {"classes": tiny.CLASSES, "palette": [[0, 0, 0]] * 4}}, tiny.CONFIG, tiny.CLASSES),
        ({"CLASSES": list(tiny.CLASSES)}, tiny.CONFIG, tiny.CLASSES),
        ({}, tiny.CONFIG + f"\nmetainfo = dict(classes={tiny.CLASSES})\n", tiny.CLASSES),
        (
            {},
            tiny.CONFIG + f"\ntest_dataloader = dict(dataset=dict(metainfo=dict(classes={tiny.CLASSES})))\n",
            tiny.CLASSES,
        ),
        ({"dataset_meta": {"classes": ("one", "two")}}, tiny.CONFIG, ()),  # of another number: nobody's names
        ({}, tiny.CONFIG, ()),
    ],
)
def test_names_come_from_the_checkpoint_or_the_config(tmp_path: Path, meta: dict, config: str, expected: tuple) -> None:
    assert load(tiny.write(tmp_path, config, meta)).class_names == expected


def test_dinov2s_own_positions_are_stretched_as_it_does() -> None:
    """DINOv2 scales by (side + 0.1) / side, which is not the same as scaling to the side."""
    from predictors.coralscop.backbone import DinoVisionBackbone

    torch.manual_seed(0)
    backbone = DinoVisionBackbone(img_size=56, embed_dim=24, depth=4, num_heads=3).eval()
    torch.nn.init.normal_(backbone.pos_embed)
    same = backbone._positions(4, 4)
    assert same is backbone.pos_embed
    other = backbone._positions(6, 5)
    assert other.shape == (1, 31, 24)
    torch.testing.assert_close(other[:, :1], backbone.pos_embed[:, :1])
    grid = backbone.pos_embed[:, 1:].reshape(1, 4, 4, 24).permute(0, 3, 1, 2)
    plain = torch.nn.functional.interpolate(grid, (6, 5), mode="bicubic").permute(0, 2, 3, 1).reshape(1, 30, 24)
    assert 0 < (other[:, 1:] - plain).abs().max() < 0.5
    features = backbone(torch.rand(2, 3, 70, 57))
    assert [tuple(each.shape) for each in features] == [(2, 24, 5, 4)] * 4


def test_a_model_of_one_class_is_refused(tmp_path: Path) -> None:
    config = tiny.CONFIG.replace("num_classes=4", "num_classes=2, out_channels=1, threshold=0.5")
    tiny.write(tmp_path, config)
    with pytest.raises(WeightsError, match=r"config\.py: expected 2 to 256 classes of pixels, got 1"):
        load(tmp_path)
