"""Kelp's models under KServe's own ModelServer, with KServe's own clients."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys

import grpc
import httpx
import kserve
import numpy as np
import pytest
import yaml

from kelp.card import parse_card
from kelp.codec import Tensor, decode_response, header_length_of
from tests.serving.wire import binary, body, jpeg, objects, picture, png
from tests.support.numpy_model import expected
from tests.support.predictor import NUMPY_RUNTIME, ROOT, free_port, numpy_card, wait_for

NAME = "numpy-reef"
IMAGE = picture(11)


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kserve")
    (folder / "card.yaml").write_text(yaml.safe_dump(numpy_card()))
    (folder / "weights.bin").write_bytes(b"")
    rest, grpc_port = free_port(), free_port()
    command = [
        sys.executable, "-m", "predictors.serving.kserve_model", str(folder / "card.yaml"),
        "--http_port", str(rest), "--grpc_port", str(grpc_port),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **NUMPY_RUNTIME}, stdout=log, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or answers(rest), 60, 0.1)
        assert process.poll() is None, (folder / "log").read_text()
        yield rest, grpc_port
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/models/{NAME}/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def truth():
    return expected(IMAGE, parse_card(json.dumps(numpy_card()), source="card"))


@pytest.fixture
def infer_url(ports):
    return f"http://127.0.0.1:{ports[0]}/v2/models/{NAME}/infer"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_rest(ports, truth, binary_in, binary_out):
    async def run():
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2", timeout=30))
        try:
            tensor = kserve.InferInput("image", [1], "BYTES")
            if binary_in:
                tensor.set_data_from_numpy(objects(png(IMAGE)), binary_data=True)
            else:
                tensor.data = [base64.b64encode(png(IMAGE)).decode()]
            request = kserve.InferRequest(NAME, [tensor], parameters={"binary_data_output": binary_out})
            return await client.infer(f"http://127.0.0.1:{ports[0]}", request, model_name=NAME)
        finally:
            await client.close()

    outputs = {output.name: output for output in asyncio.run(run()).outputs}
    assert np.array_equal(outputs["box"].as_numpy(), truth.box)


@pytest.mark.parametrize("typed", [True, False])
def test_grpc(ports, truth, typed):
    async def run():
        client = kserve.InferenceGRPCClient(f"127.0.0.1:{ports[1]}", timeout=30)
        try:
            assert await client.is_model_ready(NAME)
            tensor = kserve.InferInput("image", [1], "BYTES")
            if typed:
                tensor.data = [png(IMAGE)]
            else:
                tensor.set_data_from_numpy(objects(png(IMAGE)), binary_data=True)
            return await client.infer(kserve.InferRequest(NAME, [tensor]), timeout=30)
        finally:
            await client.close()

    outputs = {output.name: output for output in asyncio.run(run()).outputs}
    assert np.array_equal(outputs["box"].as_numpy(), truth.box)


def test_binary_tensors_are_read_without_lists(infer_url, truth):
    for tensor in (
        Tensor.from_bytes("image", [jpeg(IMAGE), png(IMAGE)]),
        Tensor.from_array("image", np.stack([IMAGE] * 2)),
    ):
        content, headers = binary([tensor], NAME, outputs=("box", "image_index"))
        response = httpx.post(
            infer_url, content=content, headers={**headers, "content-type": "application/octet-stream"}
        )
        assert response.status_code == 200, response.text
        outputs = decode_response(
            response.content, header_length_of(response.headers["inference-header-content-length"])
        ).outputs_by_name
        assert np.array_equal(outputs["box"].array[outputs["image_index"].array == 1], truth.box)


def test_errors_keep_their_status_and_their_message(infer_url, ports):
    bad = httpx.post(infer_url, json=body(b"no image"))
    assert (bad.status_code, "image 0" in bad.json()["error"]) == (400, True)
    unknown = httpx.post(infer_url, json=body(png(IMAGE), conf_treshold=1))
    assert (unknown.status_code, "conf_treshold" in unknown.json()["error"]) == (400, True)
    content, headers = binary([Tensor.from_bytes("image", [png(IMAGE)])], NAME)
    del headers["content-length"]
    cut = httpx.post(infer_url, content=content[:-5], headers={**headers, "content-type": "application/octet-stream"})
    assert cut.status_code == 400

    async def over_grpc():
        client = kserve.InferenceGRPCClient(f"127.0.0.1:{ports[1]}", timeout=30)
        try:
            tensor = kserve.InferInput("image", [1], "BYTES")
            tensor.set_data_from_numpy(objects(b"no image"), binary_data=True)
            await client.infer(kserve.InferRequest(NAME, [tensor]), timeout=30)
        finally:
            await client.close()

    with pytest.raises(grpc.RpcError) as caught:
        asyncio.run(over_grpc())
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_metadata_and_health_while_the_model_works(infer_url, ports):
    async def run():
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}", timeout=30) as client:
            busy = asyncio.ensure_future(client.post(infer_url, json=body(png(IMAGE), delay_s=1)))
            await asyncio.sleep(0.2)
            metadata = (await client.get(f"/v2/models/{NAME}")).json()
            assert metadata["inputs"][0]["name"] == "image"
            assert not busy.done()
            assert (await busy).status_code == 200

    asyncio.run(run())
