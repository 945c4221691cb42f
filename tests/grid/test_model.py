"""The pose model with a template, from card to answer, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from demo.reef import render
from kelp.card import Card, load_card
from predictors.common.errors import WeightsError
from predictors.grid.model import GridModel
from predictors.model import Item

WEIGHTS = Path(__file__).parents[1] / "data" / "weights"
SQUARE = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])


def model(folder: Path, template: object = SQUARE, **changes: object) -> GridModel:
    file = folder / "kp_template_corners.npy"
    if isinstance(template, bytes):
        file.write_bytes(template)
    else:
        np.save(file, np.asarray(template))
    card: Card = load_card(WEIGHTS / "yolo-tiny-pose.yaml").model_copy(update=changes)
    return GridModel(card, {"model": WEIGHTS / "yolo-tiny-pose.onnx", "template": file})


@pytest.mark.parametrize("matched", [True, False])
def test_the_corners_of_a_quadrat_by_the_image(tmp_path, matched):
    grid = model(tmp_path, orientation="image")
    grid.load()
    scene = render(30001, 960, turn=5.0)
    settings = {
        "conf_threshold": 0.1, "iou_threshold": 0.5, "max_detections": 1, "use_template_matching": matched,
        "refine": False,
    }  # fmt: skip
    items = [Item(scene.image, settings, frozenset({"keypoints"}))]
    (found,) = grid.postprocess(grid.predict(grid.preprocess(items)), items)
    assert found.keypoints is not None
    assert found.keypoints.shape == (1, 4, 3)
    if matched:
        # A tiny model is not exact, but each of its points is nearest to its own corner.
        apart = np.linalg.norm(found.keypoints[0, :, None, :2] - scene.corners[None], axis=2)
        assert apart.argmin(axis=1).tolist() == [0, 1, 2, 3]


def test_the_card_says_how_many_points_there_are(tmp_path):
    with pytest.raises(WeightsError, match=r"kp_template_corners\.npy: 5 points, but the card's label 'quadrat' has 4"):
        model(tmp_path, [*SQUARE, [0.5, 0.5]]).load()
    with pytest.raises(WeightsError, match=r"4 points, but the card's grid_shape 9 × 13 has 117"):
        model(tmp_path, grid_shape=(9, 13)).load()
    with pytest.raises(WeightsError, match=r"5 points, but the model has 4"):
        model(tmp_path, [*SQUARE, [0.5, 0.5]], labels=[]).load()


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        (b"no array", "not a NumPy file"),
        (np.array(["a", "b"]), "expected numbers"),
        (np.zeros((4, 3)), r"expected at least 4 points, an array \[K, 2\], got \[4, 3\]"),
        ([[0, 0], [1, 0], [1, 1], [np.inf, 1]], "expected finite coordinates"),
        ([[0, 0], [1, 0], [2, 0], [3, 0]], "do not lie on one line"),
        ([[0, 0], [1, 0], [1, 1], [1, 1]], "differ from each other"),
    ],
)
def test_a_template_that_cannot_be_used_is_named(tmp_path, template, complaint):
    with pytest.raises(WeightsError, match=complaint):
        model(tmp_path, template).load()


def test_a_template_with_code_in_it_is_not_run(tmp_path):
    objects = np.array([print], dtype=object)
    file = tmp_path / "pickled.npy"
    np.save(file, objects, allow_pickle=True)
    with pytest.raises(WeightsError, match="not a NumPy file"):
        model(tmp_path, file.read_bytes()).load()


def test_without_a_template_or_with_another_task_there_is_no_model(tmp_path):
    card = load_card(WEIGHTS / "yolo-tiny-pose.yaml")
    with pytest.raises(WeightsError, match="role 'template', got model"):
        GridModel(card, {"model": tmp_path})
    with pytest.raises(WeightsError, match="the task pose, not 'segment'"):
        GridModel(card.model_copy(update={"task": "segment"}), {})
