"""The shipped card behind the server: what it finds, over REST and over gRPC."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton

from demo.reef import HELD_OUT_SEEDS, render
from demo.training.evaluate import Tally, mask_overlaps, match
from kelp.card import load_card
from kelp.geometry import decode_cvat_masks
from tests.support.predictor import Predictor

CARD = Path(__file__).parents[2] / "environments" / "models" / "pth-mmseg-coralscopsegformer.yaml"
SIZE = 960


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    card = load_card(CARD).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    with Predictor(tmp_path_factory.mktemp("served"), card) as running:
        yield running


def test_it_finds_the_corals_of_quadrats_it_was_not_trained_on(server: Predictor) -> None:
    """Masks and genera, far from the measured quality but never below what is acceptable."""
    tally = Tally()
    for seed in HELD_OUT_SEEDS[:3]:
        scene = render(seed, SIZE)
        columns = over_rest(server, png(scene.image))
        masks = decode_cvat_masks(
            np.array(columns["mask_offsets"]), np.array(columns["mask_rle"]), (SIZE, SIZE)
        ).masks()
        overlaps = mask_overlaps(masks, scene.instances, len(scene))
        match(tally, scene.genus_ids, np.array(columns["label_id"]), np.array(columns["score"], np.float32), overlaps)
    assert tally.f1 >= 0.35


def test_rest_and_grpc_answer_alike(server: Predictor) -> None:
    image = png(render(HELD_OUT_SEEDS[3], SIZE).image)
    rest = over_rest(server, image)
    given = triton.InferInput("image", [1], "BYTES")
    given.set_data_from_numpy(np.array([image], object))
    with triton.InferenceServerClient(server.grpc) as client:
        answer = client.infer(server.name, [given], client_timeout=120)
    np.testing.assert_array_equal(answer.as_numpy("label_id"), rest["label_id"])
    np.testing.assert_allclose(answer.as_numpy("box").ravel(), np.ravel(rest["box"]))
    np.testing.assert_array_equal(answer.as_numpy("mask_rle"), rest["mask_rle"])


def test_settings_of_the_masks_are_parameters_of_a_request(server: Predictor) -> None:
    image = png(render(HELD_OUT_SEEDS[4], SIZE).image)
    few = over_rest(server, image, points_per_side=3)
    assert len(few["label_id"]) <= 27
    refused = ask(server, image, points_per_side=0)
    assert refused.status_code == 400
    assert "parameter 'points_per_side': expected an integer from 1 to 128, got 0" in refused.json()["error"]


def ask(server: Predictor, image: bytes, **parameters: float) -> httpx.Response:
    data = base64.b64encode(image).decode()
    inputs = [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [data]}]
    return httpx.post(server.infer_url, json={"inputs": inputs, "parameters": parameters}, timeout=120)


def over_rest(server: Predictor, image: bytes, **parameters: float) -> dict[str, Any]:
    answer = ask(server, image, **parameters)
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()
