"""Files with random weights, made once, and the model that serves them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# Read when torch is first loaded: threads that wait asleep.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from predictors.coralscop.model import CoralscopModel
from predictors.model import Item
from tests.coralscop import tiny


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """config.py, best_mIoU.pth, vit_coralscop.pth. Not to be written to."""
    return tiny.write(tmp_path_factory.mktemp("coralscop") / "weights")


@pytest.fixture(scope="session")
def model(folder: Path) -> CoralscopModel:
    made = tiny.model_of(tiny.card_of(folder))
    made.load()
    return made


@pytest.fixture(scope="session")
def item() -> Callable[..., Item]:
    """An item of an image; settings under which random weights find something, but for those given."""

    def make(image: np.ndarray, **settings: float) -> Item:
        values = {setting.name: setting.default for setting in CoralscopModel.own_settings}
        values |= {"max_detections": 300, "conf_threshold": 0.1, **tiny.FINDS, **settings}
        return Item(image, values, frozenset({"mask_rle"}))

    return make
