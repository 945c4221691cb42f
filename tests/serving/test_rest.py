"""The REST face: V2's paths, answers in the form that was asked for, errors of one shape."""

from __future__ import annotations

import json
import socket

import httpx
import numpy as np
import pytest

from kelp.card import parse_card
from kelp.codec import Tensor, decode_response, header_length_of
from kelp.detections.build import build
from kelp.detections.tensors import COLUMNS, from_tensors
from tests.serving.wire import binary, body, error_of, jpeg, picture, png
from tests.support.numpy_model import expected
from tests.support.predictor import numpy_card, wait_for


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def card(server):
    return parse_card(json.dumps(server.card), source="card")


def answer_of(response: httpx.Response):
    assert response.status_code == 200, response.text
    return decode_response(response.content, header_length_of(response.headers.get("inference-header-content-length")))


def found(response: httpx.Response):
    return from_tensors(answer_of(response).outputs_by_name)


def assert_same(detections, images, card, **settings):
    truth = build(
        [expected(i, card, **settings) for i in images],
        card.label_names(),
        {c.name for c in COLUMNS},
        [1.0] * len(images),
    )
    assert np.array_equal(detections.image_index, truth.image_index)
    assert np.array_equal(detections.label_id, truth.label_id)
    assert np.array_equal(detections.box, truth.box)
    assert np.allclose(detections.score, truth.score, atol=1e-5)
    assert np.array_equal(detections.polygon_points, truth.polygon_points)
    assert np.array_equal(detections.mask_rle, truth.mask_rle)
    assert np.array_equal(detections.image_size, truth.image_size)
    assert detections.labels == truth.labels


@pytest.mark.parametrize(
    ("path", "expected_part"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models", {"models": ["numpy-reef"]}),
        ("/v2/models/numpy-reef/ready", {"name": "numpy-reef", "ready": True}),
        ("/v2/health/ready/", {"ready": True}),
    ],
)
def test_health_and_lists(http, path, expected_part):
    response = http.get(path)
    assert response.status_code == 200
    assert response.json() == expected_part


def test_server_metadata(http):
    metadata = http.get("/v2").json()
    assert metadata["name"] == "kelp"
    assert "binary_tensor_data" in metadata["extensions"]


def test_model_metadata_carries_the_card(http):
    metadata = http.get("/v2/models/numpy-reef").json()
    assert metadata["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert {"name": "box", "datatype": "FP32", "shape": [-1, 4]} in metadata["outputs"]
    assert [label["name"] for label in metadata["parameters"]["card"]["labels"]] == ["red", "green", "blue"]
    assert metadata["parameters"]["card"]["state"] == "ready"


def test_repository_calls(http):
    assert http.post("/v2/repository/index", json={}).json() == [{"name": "numpy-reef", "state": "READY", "reason": ""}]
    assert http.post("/v2/repository/index").status_code == 200
    assert http.post("/v2/repository/models/numpy-reef/load", json={}).json() == {"name": "numpy-reef", "load": True}
    unload = http.post("/v2/repository/models/numpy-reef/unload")
    assert (unload.status_code, error_of(unload.text)["code"]) == (501, "not_supported")
    for verb in ("load", "unload"):
        other = http.post(f"/v2/repository/models/other/{verb}")
        assert (other.status_code, error_of(other.text)["code"]) == (404, "unknown_model")


def test_openapi_describes_paths_that_answer(http, server):
    document = http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method in operations:
            if path.endswith(("/infer", "/unload")):
                continue
            assert http.request(method.upper(), path).status_code == 200, path


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "unknown_path"),
        ("GET", "/v2/models/numpy-reef/nope", 404, "unknown_path"),
        ("GET", "/v2/models/other", 404, "unknown_model"),
        ("GET", "/v2/models/other/ready", 404, "unknown_model"),
        ("POST", "/v2/models/other/infer", 404, "unknown_model"),
        ("GET", "/v2/models/numpy-reef/versions/7", 404, "unknown_version"),
        ("POST", "/v2/models/numpy-reef/versions/7/infer", 404, "unknown_version"),
        ("GET", "/v2/models/numpy-reef/infer", 405, "method_not_allowed"),
        ("POST", "/v2/health/live", 405, "method_not_allowed"),
        ("DELETE", "/v2/models/numpy-reef", 405, "method_not_allowed"),
        ("GET", "/v2/models/..%2f..%2fetc", 404, "unknown_model"),
    ],
)
def test_what_is_not_there_is_said_in_v2s_shape(http, method, path, status, code):
    response = http.request(method, path)
    assert response.status_code == status
    assert error_of(response.text)["code"] == code
    if status == 405:
        assert response.headers["allow"] in ("GET", "POST")


def test_head_has_no_body(http):
    response = http.head("/v2/health/live")
    assert (response.status_code, response.content) == (200, b"")


def test_json_in_json_out(http, server, card):
    image = picture(1)
    response = http.post(server.infer_url, json=body(png(image)))
    assert response.headers["content-type"] == "application/json"
    assert_same(found(response), [image], card)
    annotations = json.loads(answer_of(response).outputs_by_name["annotations"].texts()[0])
    assert len(annotations) == len(expected(image, card))
    assert {a["type"] for a in annotations} == {"polygon"}
    # In JSON, text travels as text.
    assert response.json()["outputs"][2]["data"] == ["red", "green", "blue"]


def test_several_images_of_different_sizes(http, server, card):
    images = [picture(seed, 100 + 20 * seed, 200 - 10 * seed) for seed in range(11)]
    assert_same(found(http.post(server.infer_url, json=body(*map(png, images)))), images, card)


def test_binary_both_ways(http, server, card):
    images = [picture(2), picture(3, 60, 50)]
    content, headers = binary([Tensor.from_bytes("image", [png(i) for i in images])], server.name)
    response = http.post(server.infer_url, content=content, headers=headers)
    assert response.headers["content-type"] == "application/octet-stream"
    assert_same(found(response), images, card)
    assert "annotations" not in answer_of(response).outputs_by_name


def test_jpeg_in_a_binary_bytes_tensor(http, server):
    content, headers = binary([Tensor.from_bytes("image", [jpeg(picture(4))])], server.name)
    assert len(found(http.post(server.infer_url, content=content, headers=headers)))


def test_pixels_as_uint8(http, server, card):
    images = np.stack([picture(5), picture(6)])
    content, headers = binary([Tensor.from_array("image", images)], server.name)
    assert_same(found(http.post(server.infer_url, content=content, headers=headers)), list(images), card)
    as_json = {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [2, 120, 160, 3], "data": images.tolist()}]}
    assert_same(found(http.post(server.infer_url, json=as_json)), list(images), card)


def test_named_outputs_come_in_the_order_named_and_alone(http, server):
    response = http.post(server.infer_url, json=body(png(picture(7)), outputs=("score", "image_index")))
    assert [o["name"] for o in response.json()["outputs"]] == ["score", "image_index"]
    only = http.post(server.infer_url, json=body(png(picture(7)), outputs=("annotations",)))
    assert [o["name"] for o in only.json()["outputs"]] == ["annotations"]
    assert json.loads(only.json()["outputs"][0]["data"][0])


def test_one_output_binary_the_others_not(http, server):
    request = body(png(picture(7)), outputs=("score", "box"))
    request["outputs"][1]["parameters"] = {"binary_data": True}
    response = http.post(server.infer_url, json=request)
    assert "inference-header-content-length" in response.headers
    answer = answer_of(response)
    assert len(answer.outputs_by_name["box"].array) == len(answer.outputs_by_name["score"].array) > 0


def test_settings_of_the_request_win(http, server, card):
    image = picture(8)
    for given in (0.6, "0.6"):
        response = http.post(server.infer_url, json=body(png(image), conf_threshold=given))
        assert_same(found(response), [image], card, conf_threshold=0.6)
    response = http.post(server.infer_url, json=body(png(image), max_detections=3))
    assert_same(found(response), [image], card, max_detections=3)


def test_annotations_follow_the_settings(http, server):
    def types(**parameters):
        response = http.post(server.infer_url, json=body(png(picture(9)), outputs=("annotations",), **parameters))
        return {a["type"] for a in json.loads(response.json()["outputs"][0]["data"][0])}

    assert types() == types(conv_mask_to_poly=True) == {"polygon"}
    assert types(conv_mask_to_poly=False) == {"mask"}
    assert types(shape="rectangle") == {"rectangle"}


def test_no_detections_is_an_answer(http, server):
    black = np.zeros((50, 60, 3), np.uint8)
    detections = found(http.post(server.infer_url, json=body(png(black))))
    assert len(detections) == 0
    assert detections.image_size.tolist() == [[50, 60]]


def test_protocol_parameters_are_no_settings(http, server):
    given = {"priority": 1, "timeout": 20_000_000, "sequence_id": 3, "binary_data_output": False}
    assert http.post(server.infer_url, json=body(png(picture()), **given)).status_code == 200


def test_ids_come_back(http, server):
    request = {**body(png(picture())), "id": "mine"}
    response = http.post(server.infer_url, json=request, headers={"x-request-id": "abc-1"})
    assert response.json()["id"] == "mine"
    assert response.headers["x-request-id"] == "abc-1"
    wait_for(lambda: any(line.get("request_id") == "abc-1" for line in server.log()))
    line = next(line for line in server.log() if line.get("request_id") == "abc-1")
    assert (line["message"], line["protocol"], line["code"], line["images"]) == ("infer", "rest", 200, 1)
    assert set(line["phases_ms"]) == {"decode", "queue", "preprocess", "predict", "postprocess", "encode"}


@pytest.mark.parametrize("given", ["two words", "x" * 200, 'a"b\\'])
def test_a_request_id_that_could_spoil_a_log_is_replaced(http, given):
    answer = http.get("/v2/health/live", headers={"x-request-id": given}).headers["x-request-id"]
    assert answer == given if given == 'a"b\\' else answer != given
    assert len(answer) <= 128


def test_the_body_may_come_in_chunks(http, server, card):
    image = picture(10)
    content = json.dumps(body(png(image))).encode()
    pieces = (content[i : i + 5000] for i in range(0, len(content), 5000))
    assert_same(found(http.post(server.infer_url, content=pieces)), [image], card)


def test_what_is_not_http_gets_v2s_error_too(server):
    with socket.create_connection(("127.0.0.1", server.ports["rest"]), 10) as raw:
        raw.sendall(b"GARBAGE\r\n\r\n")
        answer = b""
        while chunk := raw.recv(4096):
            answer += chunk
    head, _, text = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert error_of(text.decode())["code"] == "invalid_request"


def test_a_version_is_part_of_the_name_and_of_the_path(tmp_path):
    from tests.support.predictor import Predictor

    with Predictor(tmp_path, numpy_card(version="v2")) as other:
        assert other.name == "numpy-reef-v2"
        assert other.get("/v2/models/numpy-reef-v2").json()["versions"] == ["v2"]
        url = f"{other.url}/v2/models/numpy-reef-v2/versions/v2/infer"
        response = httpx.post(url, json=body(png(picture())))
        assert response.json()["model_version"] == "v2"
        assert other.get("/v2/models/numpy-reef").status_code == 404
        assert other.get("/v2/models/numpy-reef-v2/versions/v3/ready").status_code == 404
