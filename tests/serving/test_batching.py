"""Requests that meet in one batch must not harm each other, and a request with a bad image must say which."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import httpx
import numpy as np
import pytest

from kelp.card import parse_card
from kelp.codec import Tensor, decode_response, header_length_of
from tests.serving.wire import binary, body, error_of, faulty, jpeg, picture, png
from tests.support.numpy_model import expected
from tests.support.predictor import Predictor, numpy_card


@pytest.fixture(scope="module")
def card(server):
    return parse_card(json.dumps(server.card), source="card")


def together(server, requests) -> list[httpx.Response]:
    """All of them at once, behind one that keeps the model busy while they gather."""

    async def run():
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            blocker = asyncio.ensure_future(
                client.post(server.infer_url, json=body(png(picture()), delay_s=0.4, outputs=("score",)))
            )
            await asyncio.sleep(0.1)
            answers = await asyncio.gather(*(client.post(server.infer_url, **request) for request in requests))
            assert (await blocker).status_code == 200
            return answers

    return asyncio.run(run())


def boxes(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    length = header_length_of(response.headers.get("inference-header-content-length"))
    return decode_response(response.content, length).outputs_by_name["box"].array


def test_requests_that_wait_together_go_together(server, card):
    batches = server.metric("kelp_batch_size_count")
    images = server.metric("kelp_batch_size_sum")
    pictures = [picture(seed) for seed in range(16)]
    answers = together(server, [{"json": body(png(p))} for p in pictures])
    for answer, p in zip(answers, pictures, strict=True):
        assert np.array_equal(boxes(answer), expected(p, card).box)
    assert server.metric("kelp_batch_size_sum") - images == 17
    # One for the blocker, two full ones of eight, and some slack where one of them came late.
    assert server.metric("kelp_batch_size_count") - batches <= 5


def test_each_keeps_its_own_settings_outputs_and_form(server, card):
    pictures = [picture(seed) for seed in range(8)]
    requests = []
    for seed, p in enumerate(pictures):
        if seed % 2:
            content, headers = binary([Tensor.from_bytes("image", [png(p)])], server.name, conf_threshold=0.1 * seed)
            requests.append({"content": content, "headers": headers})
        else:
            requests.append({"json": body(png(p), outputs=("box",), conf_threshold=0.1 * seed)})
    for seed, answer in enumerate(together(server, requests)):
        assert np.array_equal(boxes(answer), expected(pictures[seed], card, conf_threshold=0.1 * seed).box)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("refused", 400, "invalid_image"),
        ("predict", 500, "internal"),
        ("postprocess", 500, "internal"),
        ("memory", 503, "out_of_memory"),
    ],
)
def test_only_the_guilty_request_is_refused(server, card, fault, status, code):
    pictures = [picture(seed) for seed in range(7)]
    requests = [{"json": body(png(p))} for p in pictures]
    requests.insert(3, {"json": body(png(faulty(fault)))})
    answers = together(server, requests)
    guilty = answers.pop(3)
    assert guilty.status_code == status
    error = error_of(guilty.text)
    assert (error["code"], error["image_indices"]) == (code, [0])
    assert "hunter2" not in guilty.text
    for answer, p in zip(answers, pictures, strict=True):
        assert np.array_equal(boxes(answer), expected(p, card).box)


def test_a_broken_file_costs_only_its_own_request(server):
    requests = [{"json": body(jpeg(picture(seed)))} for seed in range(6)]
    requests[2] = {"json": body(jpeg(picture(2))[:400])}
    answers = together(server, requests)
    assert [answer.status_code for answer in answers] == [200, 200, 400, 200, 200, 200]


def test_within_a_request_all_bad_images_are_named(server):
    images = [png(picture(seed)) for seed in range(12)]
    images[2], images[7], images[11] = b"text", jpeg(picture(7))[:300], b""
    response = httpx.post(server.infer_url, json=body(*images))
    assert response.status_code == 400
    error = error_of(response.text)
    assert (error["code"], error["image_indices"]) == ("invalid_image", [2, 7, 11])
    assert error["error"].startswith("image 2: ")


@pytest.mark.parametrize("fault", ["refused", "predict", "postprocess", "memory"])
def test_images_that_fail_in_the_model_are_named_too(server, fault):
    images = [png(picture(seed)) for seed in range(10)]
    images[1], images[8] = png(faulty(fault)), png(faulty(fault, 1))
    response = httpx.post(server.infer_url, json=body(*images))
    assert error_of(response.text)["image_indices"] == [1, 8]


def test_the_servers_own_failures_are_logged_with_what_happened(server):
    httpx.post(server.infer_url, json=body(png(faulty("predict"))))
    lines = [line for line in server.log() if line.get("phase") == "predict"]
    assert any("predict broke" in line["traceback"] for line in lines)


def test_rejections_are_counted(server):
    before = server.metric("kelp_rejected_total", reason="invalid_image")
    httpx.post(server.infer_url, json=body(b"text"))
    assert server.metric("kelp_rejected_total", reason="invalid_image") == before + 1
    assert server.metric("kelp_requests_total", model="numpy-reef", protocol="rest", code="400") >= 1


def test_out_of_memory_halves_batches_and_remembers(tmp_path):
    with Predictor(tmp_path, env={"KELP_NUMPY_OOM_ABOVE": "3"}) as small:
        card = parse_card(json.dumps(small.card), source="card")
        pictures = [picture(seed) for seed in range(8)]
        answers = together(small, [{"json": body(png(p))} for p in pictures])
        for answer, p in zip(answers, pictures, strict=True):
            assert np.array_equal(boxes(answer), expected(p, card).box)
        shrunk = [line["now"] for line in small.log() if line["message"] == "out of memory"]
        assert shrunk
        assert shrunk[-1] <= 3
        # Remembered: the next crowd meets no full device any more.
        together(small, [{"json": body(png(p))} for p in pictures])
        assert [line["now"] for line in small.log() if line["message"] == "out of memory"] == shrunk
        # torch's own error, where torch is installed.
        too_large = httpx.post(small.infer_url, json=body(png(picture()), png(faulty("memory"))))
        assert (too_large.status_code, error_of(too_large.text)["code"]) == (503, "out_of_memory")
        assert int(too_large.headers["retry-after"]) >= 1
        assert httpx.post(small.infer_url, json=body(png(picture()))).status_code == 200


def test_a_request_larger_than_a_batch(tmp_path):
    with Predictor(tmp_path, numpy_card(batch={"max_images": 2})) as small:
        pictures = [picture(seed) for seed in range(7)]
        answer = httpx.post(small.infer_url, json=body(*map(png, pictures), outputs=("image_index", "box")))
        index = Counter(answer.json()["outputs"][0]["data"])
        card = parse_card(json.dumps(small.card), source="card")
        assert index == {i: n for i, p in enumerate(pictures) if (n := len(expected(p, card)))}
        assert small.metric("kelp_batch_size_count") >= 4
