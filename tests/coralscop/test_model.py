"""The family as a model: any size, batches, settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kelp.card.load import settings_faults
from kelp.detections import Predictions
from kelp.settings.model import settings_of
from predictors.check import check
from predictors.coralscop.model import CoralscopModel
from predictors.model import Item
from tests.coralscop import tiny

Make = Callable[..., Item]


def ask(model: CoralscopModel, *items: Item) -> list[Predictions]:
    return model.postprocess(model.predict(model.preprocess(items)), items)


@pytest.mark.parametrize("size", [(128, 128), (100, 140), (301, 57), (16, 640)])
def test_images_of_any_size_are_answered_in_their_own_pixels(model: CoralscopModel, item: Make, size: tuple) -> None:
    (found,) = ask(model, item(tiny.picture(*size)))
    assert found.size_hw == size
    assert len(found) >= 1
    assert found.box.min() >= 0
    assert (found.box[:, 2:] <= [size[1], size[0]]).all()
    assert ((found.score >= 0.1) & (found.score <= 1)).all()
    assert found.masks is not None
    np.testing.assert_array_equal(found.masks.bounds(), found.box.astype(int))
    assert found.masks.masks().sum(axis=0).max() == 1


def test_a_batch_gives_what_each_image_gives_alone(model: CoralscopModel, item: Make) -> None:
    items = [item(tiny.picture(*size, seed=seed)) for seed, size in enumerate([(90, 120), (64, 64), (90, 120)])]
    for together, alone in zip(ask(model, *items), [ask(model, one)[0] for one in items], strict=True):
        np.testing.assert_array_equal(together.label_id, alone.label_id)
        np.testing.assert_allclose(together.box, alone.box, atol=1)


def test_each_image_of_a_batch_has_its_own_settings(model: CoralscopModel, item: Make) -> None:
    image = tiny.picture(90, 120)
    some, none = ask(model, item(image), item(image, pred_iou_thresh=1.0, stability_score_thresh=1.0))
    assert len(some) >= 1
    assert len(none) == 0


def test_the_warm_up_finds_something(model: CoralscopModel) -> None:
    """Every step has run once, so that the first request pays for none."""
    (found,) = ask(model, *model.warm_up_items())
    assert len(found) >= 1


def test_labels_are_the_cards_in_their_order(folder: Path) -> None:
    other = tiny.model_of(tiny.card_of(folder, labels=("Fungia", "Acropora")))
    other.load()
    assert other.labels == ("Fungia", "Acropora")
    unnamed = tiny.model_of(tiny.card_of(folder, labels=()))
    unnamed.load()
    assert unnamed.labels == tiny.CLASSES[1:]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"points_per_side": 0}, "points_per_side"),
        ({"points_per_batch": 2.5}, "points_per_batch"),
        ({"pred_iou_thresh": 1.1}, "pred_iou_thresh"),
        ({"stability_score_thresh": -1}, "stability_score_thresh"),
        ({"box_nms_thresh": "wide"}, "box_nms_thresh"),
        ({"points": 3}, "points"),
    ],
)
def test_settings_out_of_range_are_told_by_the_check(folder: Path, settings: dict, complaint: str) -> None:
    faults, _ = check(tiny.card_of(folder, settings=settings))
    assert any(complaint in fault for fault in faults)


def test_the_librarys_own_settings_stand_in_the_card(folder: Path) -> None:
    settings = {
        "conf_threshold": 0.5, "points_per_side": 16, "points_per_batch": 32, "pred_iou_thresh": 0.8,
        "stability_score_thresh": 0.9, "box_nms_thresh": 0.6,
    }  # fmt: skip
    assert check(tiny.card_of(folder, settings=settings)) == ([], [])
    assert not settings_faults(settings, settings_of("segment", CoralscopModel.own_settings))
    assert settings_of("segment", CoralscopModel.own_settings)["conf_threshold"].default == 0.5
