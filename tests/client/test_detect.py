"""`detect` gives back the detections that a server wrote, over all four clients."""

from __future__ import annotations

import numpy as np
import pytest

from kelp.codec import InferResponse
from kelp.detections import Detections
from kelp.detections.tensors import DETECTOR_OUTPUTS, to_tensors
from tests.client.calling import call
from tests.client.grpc_server import GrpcServer
from tests.client.http_server import HttpServer

FOUND = Detections(
    image_index=np.array([0, 1], np.int32),
    label_id=np.array([1, 0], np.int32),
    labels=("Acropora", "Fávia"),
    score=np.array([0.9, 0.5], np.float32),
    box=np.array([[0, 0, 4, 4], [1.5, 2, 3, 9]], np.float32),
    image_size=np.array([[10, 10], [20, 30]], np.int32),
    polygon_offsets=np.array([0, 3, 3], np.int32),
    polygon_points=np.array([[0, 0], [4, 0], [0, 4]], np.float32),
    mask_offsets=np.array([0, 0, 5], np.int32),
    mask_rle=np.array([1, 1, 2, 1, 2], np.int32),
)


def answer(request) -> InferResponse:
    assert bytes(request.inputs[0].elements[0]) == b"\xff\xd8"
    return InferResponse(request.model_name, tuple(to_tensors(FOUND, request.named_outputs or DETECTOR_OUTPUTS)))


@pytest.fixture
def server(kind):
    one = (HttpServer if kind.startswith("rest") else GrpcServer)()
    one.respond = answer
    yield one
    one.close()


def test_detections_come_back(kind, server):
    found = call(kind, server.url, "detect", "m", [b"\xff\xd8", b""], parameters={"conf_threshold": 0.1})
    for name in Detections.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(FOUND, name))
    assert server.infers[0].named_outputs is None
    assert server.infers[0].parameters["conf_threshold"] == 0.1


def test_only_what_was_named_comes_back(kind, server):
    names = ["image_index", "label_id", "labels", "score", "box", "image_size"]
    found = call(kind, server.url, "detect", "m", [b"\xff\xd8"], outputs=names)
    assert found.polygon_points is None
    assert server.infers[0].named_outputs == frozenset(names)
