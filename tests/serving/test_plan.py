"""Inputs that belong to a task: masks and grid points for inpainting, prompts for interactors."""

from __future__ import annotations

import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from kelp.card import parse_card
from kelp.codec import InferRequest, RequestedOutput, Tensor, decode_response, header_length_of
from kelp.errors import InvalidRequest, NotFound
from kelp.settings.model import ModelSetting
from predictors.registry import factory_of, runtimes
from predictors.serving.plan import Planner
from tests.serving.wire import binary, body, error_of, picture, png
from tests.support.predictor import Predictor, numpy_card

IMAGE = picture(3)


def card(task: str, **fields):
    return parse_card(json.dumps(numpy_card(task=task, labels=[], **fields)), source="card")


def plan(task: str, *tensors: Tensor, outputs=(), fields=(), answer="binary", **parameters):
    request = InferRequest("numpy-reef", tensors, tuple(RequestedOutput(o) for o in outputs), parameters, answer=answer)
    return Planner(card(task, **dict(fields))).plan(request)


def floats(name: str, *shape: int) -> Tensor:
    return Tensor.from_array(name, np.zeros(shape, np.float32))


PIXELS = Tensor.from_array("image", IMAGE[None])


@pytest.mark.parametrize(
    ("task", "answer", "has", "lacks"),
    [
        ("segment", "binary", {"box", "mask_rle"}, {"annotations", "keypoints"}),
        ("segment", "contents", {"box"}, {"annotations"}),
        ("segment", "json", {"box", "annotations"}, {"keypoints"}),
        ("detect", "json", {"box", "annotations"}, {"mask_rle", "polygon_points"}),
        ("pose", "binary", {"keypoints"}, {"mask_rle"}),
    ],
)
def test_what_is_computed_where_no_output_is_named(task, answer, has, lacks):
    outputs = plan(task, PIXELS, answer=answer).outputs
    assert has <= outputs
    assert not lacks & outputs


def test_a_segmenters_outputs_are_no_detectors():
    with pytest.raises(InvalidRequest, match=r"outputs\[1\].*mask_rle"):
        plan("detect", PIXELS, outputs=("box", "mask_rle"))


def test_settings_are_the_cards_unless_the_request_says_otherwise():
    own = [("settings", {"conf_threshold": 0.4, "max_detections": 7})]
    assert plan("segment", PIXELS, fields=own).settings["conf_threshold"] == 0.4
    asked = plan("segment", PIXELS, fields=own, conf_threshold=0.1, timeout=5)
    assert (asked.settings["conf_threshold"], asked.settings["max_detections"], asked.timeout_s) == (0.1, 7, 5e-6)


def test_a_runtimes_own_settings():
    own = ModelSetting("points_per_side", "int", 32, "", 1, 64, tasks=frozenset())
    planner = Planner(card("segment"), [own])
    assert (
        planner.plan(InferRequest("m", (PIXELS,), parameters={"points_per_side": "8"})).settings["points_per_side"] == 8
    )
    with pytest.raises(InvalidRequest, match="points_per_side"):
        planner.plan(InferRequest("m", (PIXELS,), parameters={"points_per_side": 65}))


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ((), "'mask' or 'grid_points'"),
        ((floats("grid_points", 1, 4, 2), Tensor.from_bytes("mask", [b""])), "'mask' or 'grid_points'"),
        ((Tensor.from_bytes("mask", [b"", b""]),), "expected 1"),
        ((floats("mask", 1, 2, 2),), "BYTES [N] or UINT8"),
        ((floats("grid_points", 1, 5, 2),), "expected FP32 [1, 4, 2]"),
        ((floats("grid_points", 2, 4, 2),), "expected FP32 [1, 4, 2]"),
        ((Tensor.from_array("grid_points", np.full((1, 4, 2), np.nan, np.float32)),), "finite"),
        ((Tensor.from_array("grid_points", np.zeros((1, 4, 2))),), "got FP64"),
    ],
)
def test_inpainting_needs_a_mask_or_points_an_image(tensors, says):
    with pytest.raises(InvalidRequest) as caught:
        plan("inpaint", PIXELS, *tensors, fields=[("grid_shape", [2, 2])])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ((PIXELS,), "at least one of"),
        ((PIXELS, floats("pos_points", 0, 2)), "at least one of"),
        ((PIXELS, floats("pos_points", 1, 3)), "pos_points"),
        ((PIXELS, floats("box", 1, 4)), "box"),
        ((Tensor.from_array("image", np.stack([IMAGE] * 2)), floats("pos_points", 1, 2)), "one image"),
        ((PIXELS, floats("pos_points", 1, 2), floats("points", 1, 2)), "no input 'points'"),
    ],
)
def test_an_interactor_needs_prompts(tensors, says):
    with pytest.raises(InvalidRequest) as caught:
        plan("interact", *tensors)
    assert says in str(caught.value)


def test_prompts_reach_the_model():
    ready = plan("interact", PIXELS, floats("pos_points", 2, 2), floats("box", 4))
    assert {name: value.shape for name, value in ready.extras[0].items()} == {"pos_points": (2, 2), "box": (4,)}


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    """A predictor that paints what is to be removed black."""
    with Predictor(
        tmp_path_factory.mktemp("painter"), numpy_card(task="inpaint", labels=[], grid_shape=[2, 2])
    ) as predictor:
        yield predictor


def mask_of(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(IMAGE.shape[:2], np.uint8)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = 255
    return mask


def images_of(response: httpx.Response) -> list[np.ndarray]:
    assert response.status_code == 200, response.text
    length = header_length_of(response.headers.get("inference-header-content-length"))
    answer = decode_response(response.content, length).outputs_by_name["image"]
    return [np.asarray(Image.open(io.BytesIO(bytes(element)))) for element in answer.elements]


def test_an_image_comes_back_painted(painter):
    masks = [mask_of((10, 10, 30, 40)), mask_of((0, 0, 5, 5), (50, 50, 60, 60))]
    as_png = [png(np.stack([m] * 3, axis=-1)) for m in masks]
    for mask_tensor in (Tensor.from_bytes("mask", as_png), Tensor.from_array("mask", np.stack(masks))):
        content, headers = binary([Tensor.from_bytes("image", [png(IMAGE)] * 2), mask_tensor], painter.name)
        for painted, mask in zip(
            images_of(httpx.post(painter.infer_url, content=content, headers=headers)), masks, strict=True
        ):
            assert np.array_equal(painted, np.where(mask[..., None] != 0, 0, IMAGE))


def test_in_json_the_image_is_base64_and_may_be_jpeg(painter):
    points = {"name": "grid_points", "datatype": "FP32", "shape": [1, 4, 2], "data": [1, 1, 5, 5, 9, 9, 20, 30]}
    request = body(png(IMAGE), format="jpeg", quality=90)
    request["inputs"].append(points)
    response = httpx.post(painter.infer_url, json=request)
    (painted,) = images_of(response)
    assert painted.shape == IMAGE.shape
    assert response.json()["outputs"][0]["data"][0].startswith("/9j/")


def test_a_mask_of_another_size_names_its_image(painter):
    masks = Tensor.from_bytes("mask", [png(np.zeros((120, 160, 3), np.uint8)), png(np.zeros((12, 16, 3), np.uint8))])
    content, headers = binary([Tensor.from_bytes("image", [png(IMAGE)] * 2), masks], painter.name)
    response = httpx.post(painter.infer_url, content=content, headers=headers)
    assert response.status_code == 400
    assert error_of(response.text)["image_indices"] == [1]
    assert "16x12" in error_of(response.text)["error"]


def test_the_registry_says_what_there_is(monkeypatch):
    monkeypatch.setenv("KELP_RUNTIMES", "mine=package.module:make, yolo=other.module:create")
    assert runtimes()["mine"] == "package.module:make"
    assert runtimes()["yolo"] == "other.module:create"
    with pytest.raises(NotFound, match=r"mine.*yolo"):
        factory_of("nosuch")
