"""Both engines find what ultralytics' own `predict(retina_masks=True)` finds at the same settings."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from ultralytics import YOLO

from demo.reef import DEMO_SEEDS, render
from kelp.detections import Predictions
from kelp.geometry import mask_iou, spans_of_masks
from tests.yolo.models import REEF, TINY, ask, load

SEGMENTER = REEF / "pth-yolo-coralsegv4.pt"
TRAINED = {
    "segment": SEGMENTER,
    "detect": TINY / "yolo-tiny-detect.pt",
    "pose": TINY / "yolo-tiny-pose.pt",
}
Image = NDArray[np.uint8]


@cache
def reef(seed: int, side: int) -> Image:
    return render(seed, side).image


@cache
def theirs(file: Path, task: str) -> YOLO:
    return YOLO(file, task=task)


def ultralytics(file: Path, task: str, image: Image, conf: float, imgsz: tuple[int, int]) -> Any:
    bgr = np.ascontiguousarray(image[..., ::-1])
    settings = {"conf": conf, "iou": 0.5, "imgsz": list(imgsz), "retina_masks": True, "verbose": False}
    result = theirs(file, task).predict(bgr, **settings)[0]
    # What lies in the padding comes back as boxes without an area: nothing of the image.
    box = result.boxes.xyxy
    return result[((box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])).nonzero().ravel()]


def assert_agree(found: Predictions, result: Any, least_iou: float = 0.98) -> None:
    """Same instances: boxes within a pixel, masks of 400 px and more with an IoU of `least_iou` at least."""
    assert len(found) == len(result)
    if not len(result):
        return
    order = _pairs(found.box, result.boxes.xyxy.numpy(), found.label_id, result.boxes.cls.numpy())
    np.testing.assert_allclose(found.score, result.boxes.conf.numpy()[order], atol=1e-3)
    if result.masks is not None:
        assert found.masks is not None
        masks = spans_of_masks(result.masks.data.numpy().astype(bool)[order])
        large = masks.area() >= 400
        assert (mask_iou(found.masks, masks)[large] >= least_iou).all()
    if result.keypoints is not None:
        assert found.keypoints is not None
        theirs = result.keypoints.data.numpy()[order]
        np.testing.assert_allclose(found.keypoints[..., :2], theirs[..., :2], atol=1)
        if theirs.shape[-1] > 2:
            np.testing.assert_allclose(found.keypoints[..., 2], theirs[..., 2], atol=1e-3)


def _pairs(ours: NDArray[Any], theirs: NDArray[Any], our_labels: NDArray[Any], their_labels: NDArray[Any]) -> list[int]:
    """For each of our boxes the one of theirs that is it: same label, within a pixel, each taken once."""
    left = list(range(len(theirs)))
    order = []
    for box, label in zip(ours, our_labels, strict=True):
        distance, nearest = min(
            (float(np.abs(theirs[i] - box).max()) + (their_labels[i] != label) * 1e6, i) for i in left
        )
        assert distance <= 1, f"no box of theirs within a pixel of {box}, nearest {theirs[nearest]}"
        left.remove(nearest)
        order.append(nearest)
    return order


@pytest.mark.parametrize("ending", ["pt", "onnx"])
@pytest.mark.parametrize("conf", [0.25, 0.02])
def test_segments_of_the_demo(ending: str, conf: float) -> None:
    model = load(SEGMENTER.with_suffix(f".{ending}"))
    found = 0
    for seed in DEMO_SEEDS[:3]:
        image = reef(seed, 960)
        ours = ask(model, [image], conf=conf)[0]
        assert_agree(ours, ultralytics(SEGMENTER, "segment", image, conf, model.engine.facts.input_hw))
        found += len(ours)
    assert found >= 3


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["pt", "onnx"])
def test_segments_of_all_demo_images_at_full_size(ending: str) -> None:
    model = load(SEGMENTER.with_suffix(f".{ending}"))
    for seed in DEMO_SEEDS:
        image = reef(seed, 1920)
        ours = ask(model, [image])[0]
        assert_agree(ours, ultralytics(SEGMENTER, "segment", image, 0.25, model.engine.facts.input_hw))


@pytest.mark.parametrize("ending", ["pt", "onnx"])
@pytest.mark.parametrize("size_wh", [(960, 700), (517, 960), (211, 300), (384, 384), (1500, 90)])
def test_images_of_any_shape(ending: str, size_wh: tuple[int, int]) -> None:
    model = load(SEGMENTER.with_suffix(f".{ending}"))
    image = np.asarray(cv2.resize(reef(DEMO_SEEDS[0], 960), size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    ours = ask(model, [image], conf=0.02)[0]
    assert_agree(ours, ultralytics(SEGMENTER, "segment", image, 0.02, model.engine.facts.input_hw))


@pytest.mark.parametrize("task", ["detect", "pose"])
@pytest.mark.parametrize("ending", ["pt", "onnx"])
def test_boxes_and_poses_of_the_demo(task: str, ending: str) -> None:
    weights = TRAINED[task]
    model = load(weights.with_suffix(f".{ending}"), task)
    found = 0
    for seed in DEMO_SEEDS[:3]:
        image = reef(seed, 960)
        ours = ask(model, [image])[0]
        assert_agree(ours, ultralytics(weights, task, image, 0.25, model.engine.facts.input_hw))
        found += len(ours)
    assert found >= 3


@pytest.mark.parametrize("name", ["detect", "pose", "segment-two-heads", "pose-two-heads"])
@pytest.mark.parametrize("ending", ["pt", "onnx"])
def test_random_networks_of_every_kind(random_models: Path, name: str, ending: str) -> None:
    """A fixed-size ONNX file pads to a square, a checkpoint as little as it can: each as ultralytics runs that file."""
    task = name.split("-")[0]
    weights = random_models / f"{name}.{ending}"
    model = load(weights, task)
    assert model.engine.facts.finished == (ending == "onnx" and name != "detect")
    for image in (reef(DEMO_SEEDS[0], 384), reef(DEMO_SEEDS[1], 384)[:250]):
        ours = ask(model, [image], conf=0.45)[0]
        assert len(ours) > 3
        assert_agree(ours, ultralytics(weights, task, image, 0.45, model.engine.facts.input_hw))


@pytest.mark.parametrize("ending", ["pt", "onnx"])
def test_an_answer_does_not_depend_on_its_neighbours(ending: str) -> None:
    model = load(SEGMENTER.with_suffix(f".{ending}"))
    square = reef(DEMO_SEEDS[0], 960)
    images = [square, np.ascontiguousarray(square[:600]), square[::-1].copy(), np.ascontiguousarray(square[:, :300])]
    together = ask(model, images, conf=0.02)
    for image, found in zip(images, together, strict=True):
        alone = ask(model, [image], conf=0.02)[0]
        np.testing.assert_array_equal(found.label_id, alone.label_id)
        np.testing.assert_allclose(found.box, alone.box, atol=0.01)
        assert found.masks is not None
        assert alone.masks is not None
        assert (mask_iou(found.masks, alone.masks) > 0.999).all()


def test_a_batch_larger_than_a_fixed_one_goes_in_parts(random_models: Path) -> None:
    model = load(random_models / "detect.onnx", "detect")
    assert model.engine.facts.batch == 1
    images = [reef(seed, 384) for seed in DEMO_SEEDS[:3]]
    together = ask(model, images, conf=0.45)
    alone = [ask(model, [image], conf=0.45)[0] for image in images]
    assert [len(found) for found in together] == [len(found) for found in alone]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a.box, b.box)
