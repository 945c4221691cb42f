"""The shipped inpainter, as its card serves it: better than OpenCV's on held-out quadrats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from demo.reef import HELD_OUT_SEEDS, render
from demo.training.inpaint.measure import served, squares
from demo.training.inpaint.pairs import pair_of
from demo.training.recipes import CARDS, LAMA
from kelp.card import load_card
from kelp.errors import KelpError
from predictors.model import Item
from predictors.registry import make_model

SIZE = 1344


@pytest.mark.parametrize("ending", ["onnx", "pt"])
def test_strings_of_held_out_quadrats_are_removed(ending: str) -> None:
    model = served(LAMA, LAMA.into / f"{LAMA.name}.{ending}")
    given, wanted = pair_of(render(HELD_OUT_SEEDS[120], SIZE, keep_frame=True), SIZE)
    errors = squares(model, given, wanted)
    gain = 10 * np.log10(min(errors["telea"], errors["navier_stokes"]) / errors["model"])
    assert gain >= -0.5


def test_tiles_leave_no_seam() -> None:
    model = served(LAMA, LAMA.into / f"{LAMA.name}.onnx")
    image = render(HELD_OUT_SEEDS[121], 960).image
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[::80] = mask[:, ::80] = 1
    mask[1::80] = mask[:, 1::80] = 1
    answers = []
    for side in (2048, 640):
        items = [Item(image, {"grid_line_width": 8.0, "tile_px": side}, frozenset({"image"}), {"mask": mask})]
        answers += model.postprocess(model.predict(model.preprocess(items)), items)
    assert np.abs(np.asarray(answers[0]).astype(int) - answers[1]).max() <= 2


def test_the_full_size_card_names_its_source_and_its_sha256() -> None:
    full = load_card(CARDS.parent / "full-size" / "pth-lama.yaml")
    shipped = load_card(LAMA.card)
    assert full.model_name == shipped.model_name
    assert full.weights.uri.startswith("https://")
    assert full.weights.sha256 is not None
    assert (full.runtime, full.task, full.grid_shape) == (shipped.runtime, shipped.task, shipped.grid_shape)


def test_a_wrong_sha256_is_refused_before_the_file_is_opened(tmp_path: Path) -> None:
    card = load_card(LAMA.card)
    weights = card.weights.model_copy(update={"sha256": "0" * 63 + "1"})
    with pytest.raises(KelpError, match=r"pth-lama\.onnx.*sha256"):
        make_model(card.model_copy(update={"weights": weights}), tmp_path)
