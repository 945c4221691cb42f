"""Images and request bodies for tests of the server."""

from __future__ import annotations

import base64
import json
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kelp.codec import InferRequest, RequestedOutput, Tensor, encode_request
from tests.support.numpy_model import FAULTS


def picture(seed: int = 0, height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """RGB blocks of random colours, large enough for JPEG to keep."""
    blocks = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8)
    return cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)


def faulty(fault: str, seed: int = 0) -> NDArray[np.uint8]:
    """A picture that the numpy model fails on, in the way that `fault` says."""
    image = picture(seed)
    image[0, 0] = FAULTS[fault]
    return image


def jpeg(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def png(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def objects(*elements: bytes) -> NDArray[Any]:
    """BYTES as other people's clients take them: numpy [N] of objects."""
    return np.array(elements, dtype=object)


def body(*images: bytes, outputs: tuple[str, ...] = (), **parameters: Any) -> dict[str, Any]:
    """A JSON request, its images as base64."""
    data = [base64.b64encode(image).decode() for image in images]
    request: dict[str, Any] = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [len(images)], "data": data}]}
    if outputs:
        request["outputs"] = [{"name": name} for name in outputs]
    if parameters:
        request["parameters"] = parameters
    return request


def binary(
    tensors: list[Tensor], name: str, outputs: tuple[str, ...] = (), **parameters: Any
) -> tuple[bytes, dict[str, str]]:
    """A request in the binary extension that wants its answer so: body and headers."""
    request = InferRequest(
        model_name=name,
        inputs=tuple(tensors),
        outputs=tuple(RequestedOutput(o) for o in outputs),
        parameters=parameters,
        answer="binary",
    )
    buffers, headers = encode_request(request)
    return b"".join(buffers), headers


def error_of(text: str) -> dict[str, Any]:
    """V2's error object, and nothing else."""
    error = json.loads(text)
    assert isinstance(error["error"], str)
    assert error["error"]
    assert set(error) <= {"error", "code", "image_indices"}
    assert "Traceback" not in text
    return error
