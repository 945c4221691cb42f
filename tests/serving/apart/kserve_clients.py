"""kserve's own clients against Kelp's server."""

from __future__ import annotations

import asyncio
import base64

import grpc
import kserve
import numpy as np
import pytest

from tests.serving.wire import objects, png


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_kserve_rest(server, image, truth, binary_in, binary_out):
    async def run():
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2", timeout=30))
        try:
            assert await client.is_server_live(server.url)
            assert await client.is_server_ready(server.url)
            assert await client.is_model_ready(server.url, server.name)
            tensor = kserve.InferInput("image", [1], "BYTES")
            if binary_in:
                tensor.set_data_from_numpy(objects(png(image)), binary_data=True)
            else:
                tensor.data = [base64.b64encode(png(image)).decode()]
            request = kserve.InferRequest(
                server.name, [tensor], parameters={"binary_data_output": binary_out, "conf_threshold": 0.25}
            )
            return await client.infer(server.url, request, model_name=server.name)
        finally:
            await client.close()

    response = asyncio.run(run())
    outputs = {output.name: output for output in response.outputs}
    assert np.array_equal(outputs["box"].as_numpy(), truth.box)
    assert np.allclose(outputs["score"].as_numpy(), truth.score, atol=1e-5)
    assert ("annotations" in outputs) == (not binary_out)


def test_kserve_rest_uint8(server, image, truth):
    async def run():
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2", timeout=30))
        try:
            tensor = kserve.InferInput("image", [1, *image.shape], "UINT8")
            tensor.set_data_from_numpy(image[None], binary_data=True)
            return await client.infer(server.url, kserve.InferRequest(server.name, [tensor]), model_name=server.name)
        finally:
            await client.close()

    response = asyncio.run(run())
    assert np.array_equal({o.name: o for o in response.outputs}["box"].as_numpy(), truth.box)


@pytest.mark.parametrize("typed", [True, False])
def test_kserve_grpc(server, image, truth, typed):
    async def run():
        client = kserve.InferenceGRPCClient(server.grpc, timeout=30)
        try:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready(server.name)
            tensor = kserve.InferInput("image", [1], "BYTES")
            if typed:
                tensor.data = [png(image)]
            else:
                tensor.set_data_from_numpy(objects(png(image)), binary_data=True)
            request = kserve.InferRequest(
                server.name, [tensor], request_id="k-1", parameters={"conf_threshold": "0.25"}
            )
            return await client.infer(request, timeout=30)
        finally:
            await client.close()

    response = asyncio.run(run())
    outputs = {output.name: output for output in response.outputs}
    assert response.id == "k-1"
    assert np.array_equal(outputs["box"].as_numpy(), truth.box)
    assert np.array_equal(outputs["label_id"].as_numpy(), truth.label_id)


def test_kserve_grpc_error(server):
    async def run():
        client = kserve.InferenceGRPCClient(server.grpc, timeout=30)
        try:
            tensor = kserve.InferInput("image", [1], "BYTES")
            tensor.set_data_from_numpy(objects(b"no image"), binary_data=True)
            await client.infer(kserve.InferRequest(server.name, [tensor]), timeout=30)
        finally:
            await client.close()

    with pytest.raises(grpc.RpcError) as caught:
        asyncio.run(run())
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert dict(caught.value.trailing_metadata())["kelp-image-indices"] == "0"
