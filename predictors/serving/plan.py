"""What a request asks for, checked against the model: its images, their other inputs, settings and outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kelp.card import Card
from kelp.codec import Buffer, InferRequest, Tensor
from kelp.detections.tensors import ANNOTATIONS, outputs_of
from kelp.errors import InvalidRequest
from kelp.settings.model import (
    DETECTORS,
    PROTOCOL_PARAMETERS,
    ModelSetting,
    effective_settings,
    parse_settings,
    settings_of,
)

Source = Buffer | NDArray[Any]
"""An image as it came: an encoded file, or pixels."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that the model can serve.

    images: one source an image, encoded or uint8 [H, W, 3]; masks: likewise encoded or uint8 [H, W], or none
    extras: other inputs by name, one entry an image; timeout_s: the caller's own limit; outputs: names to compute
    """

    request: InferRequest
    images: Sequence[Source]
    masks: Sequence[Source] | None
    extras: Sequence[Mapping[str, NDArray[Any]]]
    settings: Mapping[str, Any]
    outputs: frozenset[str]
    timeout_s: float | None


class Planner:
    """Turns requests into plans, for one card and the settings that its model family knows."""

    def __init__(self, card: Card, own_settings: Sequence[ModelSetting] = ()) -> None:
        """InvalidRequest where the card's settings do not fit the family."""
        self._card = card
        self._known = settings_of(card.task, own_settings)
        self._settings = effective_settings(self._known, card.settings, {})
        self._reader = _READERS.get(card.task, _image_only)
        if card.task in DETECTORS:
            self._columns = tuple(column.name for column in outputs_of(card.task))
        else:
            self._columns = ("image",)

    def plan(self, request: InferRequest) -> Plan:
        """InvalidRequest names what is unknown, missing or out of range."""
        overrides = {k: v for k, v in request.parameters.items() if k not in PROTOCOL_PARAMETERS}
        settings = {**self._settings, **parse_settings(overrides, self._known)} if overrides else self._settings
        inputs = dict(request.inputs_by_name)
        images = _images(inputs.pop("image", None))
        masks, extras = self._reader(inputs, len(images), self._card)
        if inputs:
            raise InvalidRequest(f"inputs: this model has no input '{next(iter(inputs))[:80]}'")
        return Plan(request, images, masks, extras, settings, self._outputs(request), _timeout_s(request.parameters))

    def _outputs(self, request: InferRequest) -> frozenset[str]:
        named = request.named_outputs
        if named is None:
            # `annotations` repeats the columns as text: worth its time only to people who read JSON.
            as_text = request.answer == "json"
            return frozenset(n for n in self._columns if as_text or n != ANNOTATIONS.name)
        for index, output in enumerate(request.outputs):
            if output.name not in self._columns:
                raise InvalidRequest(
                    f"outputs[{index}]: this model has no output '{output.name[:80]}'; it has "
                    + ", ".join(self._columns)
                )
        return named


def _timeout_s(parameters: Mapping[str, Any]) -> float | None:
    """V2's `timeout`, microseconds; 0 is none."""
    value = parameters.get("timeout")
    if value is None:
        return None
    setting = ModelSetting("timeout", "int", None, "", 0, 2**63)
    return int(setting.parse(value)) / 1e6 or None


def _images(tensor: Tensor | None) -> Sequence[Source]:
    if tensor is None:
        raise InvalidRequest("inputs: expected an input 'image'")
    if tensor.datatype == "BYTES":
        return _listed(tensor)
    if tensor.datatype != "UINT8":
        raise InvalidRequest(f"inputs 'image': expected BYTES [N] or UINT8 [N, H, W, 3], got {tensor.datatype}")
    if len(tensor.shape) != 4 or tensor.shape[3] != 3 or math.prod(tensor.shape) == 0:
        raise InvalidRequest(f"inputs 'image': expected UINT8 [N, H, W, 3], got {list(tensor.shape)}")
    return list(tensor.array)


def _listed(tensor: Tensor) -> Sequence[Buffer]:
    if len(tensor.shape) != 1 or tensor.shape[0] == 0:
        raise InvalidRequest(
            f"inputs '{tensor.name}': expected BYTES [N] with N of at least 1, got {list(tensor.shape)}"
        )
    return tensor.elements


def _image_only(
    inputs: dict[str, Tensor], count: int, card: Card
) -> tuple[Sequence[Source] | None, Sequence[Mapping[str, NDArray[Any]]]]:
    return None, [{}] * count


def _to_inpaint(
    inputs: dict[str, Tensor], count: int, card: Card
) -> tuple[Sequence[Source] | None, Sequence[Mapping[str, NDArray[Any]]]]:
    """`mask` or `grid_points`, one of them an image."""
    mask, points = inputs.pop("mask", None), inputs.pop("grid_points", None)
    if (mask is None) == (points is None):
        raise InvalidRequest("inputs: expected either 'mask' or 'grid_points' beside 'image'")
    if mask is not None:
        if mask.datatype == "BYTES":
            masks: Sequence[Source] = _listed(mask)
        elif mask.datatype == "UINT8" and len(mask.shape) == 3:
            masks = list(mask.array)
        else:
            raise InvalidRequest(
                f"inputs 'mask': expected BYTES [N] or UINT8 [N, H, W], got {mask.datatype} {list(mask.shape)}"
            )
        if len(masks) != count:
            raise InvalidRequest(f"inputs 'mask': expected {count}, one an image, got {len(masks)}")
        return masks, [{}] * count
    assert points is not None
    wanted = card.grid_shape[0] * card.grid_shape[1] if card.grid_shape else None
    shape = (count, wanted, 2)
    places = _floats(points, shape)
    return None, [{"grid_points": places[i]} for i in range(count)]


def _to_interact(
    inputs: dict[str, Tensor], count: int, card: Card
) -> tuple[Sequence[Source] | None, Sequence[Mapping[str, NDArray[Any]]]]:
    """Prompts belong to one image."""
    if count != 1:
        raise InvalidRequest(f"inputs 'image': an interactor takes one image at a time, got {count}")
    shapes: dict[str, tuple[int | None, ...]] = {"pos_points": (None, 2), "neg_points": (None, 2), "box": (4,)}
    prompts = {name: _floats(inputs.pop(name), shape) for name, shape in shapes.items() if name in inputs}
    if not any(len(prompt) for prompt in prompts.values()):
        raise InvalidRequest("inputs: expected at least one of 'pos_points', 'neg_points' and 'box' beside 'image'")
    return None, [prompts]


def _floats(tensor: Tensor, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    fits = tensor.datatype == "FP32" and len(tensor.shape) == len(shape)
    if not fits or any(want is not None and want != have for want, have in zip(shape, tensor.shape, strict=False)):
        wanted = ", ".join("N" if n is None else str(n) for n in shape)
        raise InvalidRequest(
            f"inputs '{tensor.name}': expected FP32 [{wanted}], got {tensor.datatype} {list(tensor.shape)}"
        )
    if not np.isfinite(tensor.array).all():
        raise InvalidRequest(f"inputs '{tensor.name}': expected finite numbers")
    return tensor.array


_READERS = {"inpaint": _to_inpaint, "interact": _to_interact}
