"""The shipped pose models, as their cards serve them: good enough on held-out quadrats, and what is broken is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from demo.reef import HELD_OUT_SEEDS, render
from demo.training.offline import prepare
from demo.training.pose.measure import Errors, best, cases, served
from demo.training.recipes import GRIDCORNERS, GRIDPOSE, PoseRecipe
from kelp.card import load_card
from kelp.detections import Predictions
from kelp.errors import KelpError
from predictors.grid.model import GridModel
from predictors.model import Item
from predictors.registry import make_model

SIZE = 1280
BOTH = [pytest.param(GRIDCORNERS, id="corners"), pytest.param(GRIDPOSE, id="grid")]


@pytest.fixture(autouse=True)
def _offline(tmp_path_factory: pytest.TempPathFactory) -> None:
    prepare(tmp_path_factory.getbasetemp() / "ultralytics")


@pytest.mark.parametrize("recipe", BOTH)
def test_points_of_held_out_quadrats_are_found(recipe: PoseRecipe) -> None:
    """The floor is that of 1920 pixels, at two thirds of the size."""
    model = served(recipe, recipe.into / f"{recipe.name}.onnx")
    errors = Errors()
    for seed in HELD_OUT_SEEDS[100:102]:
        for _, case in cases(recipe, seed, SIZE):
            errors.add(best(model, case.image, refine=True), case)
    assert not errors.missed
    figures = errors.figures()
    assert figures["median_error_px"] <= (8 if recipe.points == 4 else 6) * SIZE / 1920
    assert figures["in_right_slot"] >= 0.95


def without_a_quadrat() -> dict[str, NDArray[np.uint8]]:
    reef = render(HELD_OUT_SEEDS[105], SIZE, grid=False).image
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    return {
        "black": np.zeros((300, 300, 3), np.uint8),
        "gray": np.full((480, 640, 3), 127, np.uint8),
        "one pixel": np.full((1, 1, 3), 90, np.uint8),
        "noise": noise,
        "reef": reef,
        "colonies": np.ascontiguousarray(reef[200:700, 300:1000]),
    }


@pytest.mark.parametrize("recipe", BOTH)
def test_nothing_is_found_where_the_picture_shows_no_quadrat(recipe: PoseRecipe) -> None:
    """The network itself names points in any picture, and is sure of them."""
    model = served(recipe, recipe.into / f"{recipe.name}.onnx")
    for name, image in without_a_quadrat().items():
        for outputs in ({"keypoints"}, {"box"}):
            assert len(found_in(model, image, conf_threshold=0.25, outputs=outputs)) == 0, name
        guessed = found_in(model, image, conf_threshold=0.0)
        assert guessed.keypoints is not None
        assert guessed.score.tolist() == [0], name
        assert guessed.keypoints[..., 2].max() == 0, name


def test_corners_that_were_measured_are_seen_and_as_sure_as_the_network() -> None:
    model = served(GRIDCORNERS, GRIDCORNERS.into / f"{GRIDCORNERS.name}.onnx")
    (_, case), *_ = cases(GRIDCORNERS, HELD_OUT_SEEDS[104], SIZE)
    measured, unmeasured = (found_in(model, case.image, refine=refine) for refine in (True, False))
    assert measured.keypoints is not None
    assert measured.keypoints[0, :, 2].min() >= 0.5
    np.testing.assert_array_equal(measured.score, unmeasured.score)


@pytest.mark.parametrize("recipe", BOTH)
@pytest.mark.parametrize("ending", ["onnx", "pt"])
def test_both_engines_see_the_same(recipe: PoseRecipe, ending: str) -> None:
    (_, case), *_ = cases(recipe, HELD_OUT_SEEDS[110], 640)
    expected = best(served(recipe, recipe.into / f"{recipe.name}.onnx"), case.image, refine=False)
    found = best(served(recipe, recipe.into / f"{recipe.name}.{ending}"), case.image, refine=False)
    assert expected is not None
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=0.5)


def found_in(
    model: GridModel,
    image: NDArray[np.uint8],
    *,
    refine: bool = True,
    conf_threshold: float = 0.25,
    outputs: Iterable[str] = ("keypoints",),
) -> Predictions:
    settings = {
        "conf_threshold": conf_threshold, "iou_threshold": 0.5, "max_detections": 1, "use_template_matching": True,
        "refine": refine,
    }  # fmt: skip
    items = [Item(image, settings, frozenset(outputs))]
    (found,) = model.postprocess(model.predict(model.preprocess(items)), items)
    return found


def moved(recipe: PoseRecipe, folder: Path) -> dict[str, object]:
    """The card's fields, its weights copied into `folder`."""
    card: dict[str, object] = yaml.safe_load(recipe.card.read_text())
    for entry in card["weights"]["files"].values():  # type: ignore[index]
        shutil.copyfile(recipe.into / entry["file"], folder / entry["file"])
    card["weights"]["uri"] = "."  # type: ignore[index]
    return card


def made(card: dict[str, object], folder: Path) -> None:
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    make_model(load_card(folder / "card.yaml"), folder / "cache").load()


def test_a_file_that_is_not_what_the_card_says_is_not_opened(tmp_path: Path) -> None:
    card = moved(GRIDPOSE, tmp_path)
    with (tmp_path / GRIDPOSE.template).open("ab") as file:
        file.write(b" ")
    with pytest.raises(KelpError, match=r"kp_template\.npy.*sha256"):
        made(card, tmp_path)


@pytest.mark.parametrize("ending", ["onnx", "pt"])
def test_a_broken_checkpoint_is_named(tmp_path: Path, ending: str) -> None:
    card = moved(GRIDCORNERS, tmp_path)
    whole = (GRIDCORNERS.into / f"{GRIDCORNERS.name}.{ending}").read_bytes()
    (tmp_path / f"broken.{ending}").write_bytes(whole[: len(whole) // 2])
    card["weights"]["files"]["model"] = {"file": f"broken.{ending}"}  # type: ignore[index]
    with pytest.raises(KelpError, match=rf"broken\.{ending}"):
        made(card, tmp_path)


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("kp_template_corners.npy", r"4 points, but the card's grid_shape 9 × 13 has 117"),
        ("short.npy", r"116 points, but the card's grid_shape 9 × 13 has 117"),
    ],
)
def test_a_template_of_another_length_is_named(tmp_path: Path, template: str, complaint: str) -> None:
    card = moved(GRIDPOSE, tmp_path)
    shutil.copyfile(GRIDCORNERS.into / GRIDCORNERS.template, tmp_path / GRIDCORNERS.template)
    np.save(tmp_path / "short.npy", np.load(GRIDPOSE.into / GRIDPOSE.template)[:-1])
    card["weights"]["files"]["template"] = {"file": template}  # type: ignore[index]
    with pytest.raises(KelpError, match=complaint):
        made(card, tmp_path)


def test_a_card_without_refine_serves_points_as_the_model_saw_them() -> None:
    model = served(GRIDCORNERS, GRIDCORNERS.into / f"{GRIDCORNERS.name}.onnx")
    (setting,) = (setting for setting in model.own_settings if setting.name == "refine")
    assert setting.default is False
    (_, case), *_ = cases(GRIDCORNERS, HELD_OUT_SEEDS[111], 640)
    answers = []
    for settings in (
        {"refine": False, "use_template_matching": True},
        {"refine": True, "use_template_matching": False},
    ):
        full = {"conf_threshold": 0.25, "iou_threshold": 0.5, "max_detections": 1, **settings}
        items = [Item(case.image, full, frozenset({"keypoints"}))]
        (found,) = model.postprocess(model.predict(model.preprocess(items)), items)
        assert found.keypoints is not None
        answers.append(found.keypoints)
    np.testing.assert_allclose(answers[0], answers[1])
