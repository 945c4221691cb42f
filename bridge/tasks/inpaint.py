"""Asking a model to take the grid out of one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge.detect.alone import Refused, ask_alone
from bridge.models.source import Models
from bridge.tasks.carry import carry_over
from bridge.tasks.picture import Unusable
from kelp.codec import InferRequest, RequestedOutput, Tensor
from kelp.errors import BadGateway, NotFound, NotReady


async def remove_grid(
    models: Models,
    model: str,
    image: bytes,
    points: list[float],
    size_hw: tuple[int, int],
    settings: Mapping[str, Any],
) -> bytes:
    """`image` (an encoded file of `size_hw`) without the grid through `points` (x, y of each in pixels, row by row),
    in the form that `settings` ask for, with date and place of the photograph. Unusable where the model has no answer.
    """
    request = InferRequest(
        model_name=model,
        inputs=(
            Tensor.from_bytes("image", [image]),
            Tensor.from_array("grid_points", np.array(points, np.float32).reshape(1, -1, 2)),
        ),
        outputs=(RequestedOutput("image"),),
        parameters=dict(settings),
        answer="binary",
    )
    answer = await ask_alone(lambda: _once(models, request))
    if isinstance(answer, Refused):
        raise Unusable(answer.reason)
    if (size := _size_of(answer, settings["format"])) != (size_hw[1], size_hw[0]):
        raise Unusable(f"{model} answered with {size[0]}x{size[1]} pixels, CVAT says {size_hw[1]}x{size_hw[0]}")
    return carry_over(image, answer)


async def _once(models: Models, request: InferRequest) -> bytes:
    try:
        response = await models.infer(request)
    except NotFound as error:
        # Being replaced, perhaps: asked again from its card on, which knows when to give up.
        raise NotReady(f"{request.model_name} was taken away: {error.message}") from None
    found = next((tensor for tensor in response.outputs if tensor.name == "image"), None)
    if found is None or len(found.elements) != 1:
        raise BadGateway(f"{request.model_name} did not answer with one image")
    return bytes(found.elements[0])


def _size_of(image: bytes, form: str) -> tuple[int, int]:
    """Width and height by the file's head. BadGateway where it is no picture of that form."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image), formats=[form.upper()]) as opened:
            return opened.width, opened.height
    except (OSError, ValueError, SyntaxError):
        raise BadGateway(f"expected a {form} picture in the model's answer") from None
