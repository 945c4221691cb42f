"""tritonclient, over HTTP and over gRPC, against Kelp's server."""

from __future__ import annotations

import numpy as np
import pytest
import tritonclient.grpc as tritongrpc
import tritonclient.http as tritonhttp
from tritonclient.utils import InferenceServerException

from tests.serving.wire import jpeg, objects, png
from tests.support.predictor import wait_for


@pytest.fixture
def triton(server, request):
    """tritonclient's module and client of the protocol in question."""
    module = {"http": tritonhttp, "grpc": tritongrpc}[request.param]
    client = module.InferenceServerClient(
        server.url.removeprefix("http://") if request.param == "http" else server.grpc
    )
    yield module, client
    client.close()


BOTH = pytest.mark.parametrize("triton", ["http", "grpc"], indirect=True)


@BOTH
def test_triton_health_and_metadata(server, triton):
    module, client = triton
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(server.name)
    options = {} if module is tritonhttp else {"as_json": True}
    assert client.get_server_metadata(**options)["name"] == "kelp"
    metadata = client.get_model_metadata(server.name, **options)
    assert metadata["name"] == server.name
    assert metadata["inputs"][0]["name"] == "image"
    index = client.get_model_repository_index(**options)
    assert (index if module is tritonhttp else index["models"])[0]["state"] == "READY"
    client.load_model(server.name)


@BOTH
def test_triton_bytes_and_uint8(server, triton, image, truth):
    module, client = triton
    for array, kind in ((objects(png(image)), "BYTES"), (image[None], "UINT8")):
        tensor = module.InferInput("image", list(array.shape), kind)
        tensor.set_data_from_numpy(array)
        outputs = [module.InferRequestedOutput(name) for name in ("box", "labels", "polygon_points")]
        result = client.infer(
            server.name, [tensor], outputs=outputs, request_id="t-1", parameters={"max_detections": 5}
        )
        assert np.array_equal(result.as_numpy("box"), truth.box[:5])
        assert result.as_numpy("labels").tolist() == [b"red", b"green", b"blue"]
        assert result.as_numpy("score") is None


@BOTH
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_triton_compressed_requests(server, triton, image, truth, algorithm):
    module, client = triton
    tensor = module.InferInput("image", [1, *image.shape], "UINT8")
    tensor.set_data_from_numpy(image[None])
    option = "request_compression_algorithm" if module is tritonhttp else "compression_algorithm"
    result = client.infer(server.name, [tensor], **{option: algorithm})
    assert np.array_equal(result.as_numpy("box"), truth.box)


@BOTH
def test_triton_without_named_outputs_and_with_its_own_parameters(server, triton, image, truth):
    module, client = triton
    tensor = module.InferInput("image", [2], "BYTES")
    tensor.set_data_from_numpy(objects(jpeg(image), png(image)))
    result = client.infer(server.name, [tensor], priority=1, timeout=20_000_000, sequence_id=7, sequence_start=True)
    second = result.as_numpy("image_index") == 1
    assert np.array_equal(result.as_numpy("box")[second], truth.box)
    assert result.as_numpy("image_size").tolist() == [[120, 160], [120, 160]]


@BOTH
@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("other", {}, "no model 'other'"),
        (None, {"conf_treshold": 0.3}, "conf_treshold"),
        (None, {"quality": 3}, "quality"),
    ],
)
def test_triton_errors(server, triton, image, name, parameters, says):
    module, client = triton
    tensor = module.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(objects(png(image)))
    with pytest.raises(InferenceServerException, match=says):
        client.infer(name or server.name, [tensor], parameters=parameters)
    assert client.is_model_ready(server.name)


@BOTH
def test_triton_unload_is_refused_and_unknown_models_are_not_found(server, triton):
    _, client = triton
    with pytest.raises(InferenceServerException, match="for as long as it runs"):
        client.unload_model(server.name)
    with pytest.raises(InferenceServerException, match="no model 'other'"):
        client.load_model("other")
    assert client.is_model_ready(server.name)


def test_many_requests_at_once_over_triton_grpc(server, image, truth):
    with tritongrpc.InferenceServerClient(server.grpc) as client:
        tensor = tritongrpc.InferInput("image", [1], "BYTES")
        tensor.set_data_from_numpy(objects(png(image)))
        answers = []
        for _ in range(40):
            client.async_infer(server.name, [tensor], lambda result, error: answers.append((result, error)))
        wait_for(lambda: len(answers) == 40)
    assert all(error is None and np.array_equal(result.as_numpy("box"), truth.box) for result, error in answers)
