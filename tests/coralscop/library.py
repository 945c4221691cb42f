"""Our masks beside the library's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam

from predictors.coralscop.found import Found
from predictors.coralscop.masks import MaskFinder


def find(sam: Sam, image: np.ndarray, **settings: Any) -> Found:
    finder = MaskFinder(sam)
    with torch.inference_mode():
        resized = finder.resized(image)
        return finder.find(finder.embed([resized]), resized.shape[:2], image.shape[:2], settings)


def assert_same(found: Found, theirs: list[dict[str, Any]]) -> None:
    assert len(found.crops) == len(theirs)
    for (pixels, x, y), quality, stability, their in zip(
        found.crops, found.quality, found.stability, theirs, strict=True
    ):
        mask = np.zeros(found.size_hw, bool)
        mask[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
        both, either = (mask & their["segmentation"]).sum(), (mask | their["segmentation"]).sum()
        assert both / either >= 0.999
        assert quality == pytest.approx(their["predicted_iou"], abs=1e-4)
        assert stability == pytest.approx(their["stability_score"], abs=1e-3)
        left, top, width, height = their["bbox"]
        assert (x, y, pixels.shape[1] - 1, pixels.shape[0] - 1) == pytest.approx((left, top, width, height), abs=1)
