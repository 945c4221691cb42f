"""What a model's V2 metadata says about it, made from its card alone: the predictor and `kelp up` answer the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from kelp import __version__
from kelp.card.schema import Card, Label
from kelp.settings.model import DETECTORS

State = Literal["asleep", "starting", "ready", "failing"]


def model_metadata(card: Card, state: State, labels: Sequence[Label] | None = None) -> dict[str, Any]:
    """V2's model metadata; `parameters.card` carries the card's public part and the model's state.

    labels: where the card has none, those that the weights carry.
    """
    return {
        "name": card.model_name,
        "versions": [card.version] if card.version else [],
        "platform": f"kelp_{card.runtime}",
        "inputs": _inputs(card),
        "outputs": _outputs(card),
        "parameters": {"card": public_part(card, state, labels)},
    }


def public_part(card: Card, state: State, labels: Sequence[Label] | None = None) -> dict[str, Any]:
    """What callers may know of a card: how CVAT lists it, its labels and settings, which weights; no addresses."""
    return {
        "title": card.title or card.name,
        "description": card.description,
        "version": card.version,
        "runtime": card.runtime,
        "task": card.task,
        "labels": [label.model_dump(mode="json", exclude_none=True) for label in card.labels or labels or ()],
        "cvat": card.cvat.model_dump(mode="json"),
        "settings": card.settings,
        "grid_shape": card.grid_shape,
        "sha256": {role: entry.sha256 for role, entry in card.weights.by_role().items()},
        "start_timeout": card.start_timeout,
        "state": state,
    }


def server_metadata(name: str) -> dict[str, Any]:
    """V2's server metadata."""
    return {"name": name, "version": __version__, "extensions": ["binary_tensor_data", "model_repository"]}


def _tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def _inputs(card: Card) -> list[dict[str, Any]]:
    inputs = [_tensor("image", "BYTES", -1)]
    if card.task == "inpaint":
        points = card.grid_shape[0] * card.grid_shape[1] if card.grid_shape else -1
        inputs += [_tensor("mask", "BYTES", -1), _tensor("grid_points", "FP32", -1, points, 2)]
    elif card.task == "interact":
        inputs += [_tensor(f"{kind}_points", "FP32", -1, 2) for kind in ("pos", "neg")] + [_tensor("box", "FP32", 4)]
    return inputs


def _outputs(card: Card) -> list[dict[str, Any]]:
    if card.task in DETECTORS:
        from kelp.detections.tensors import outputs_of  # numpy and OpenCV, which a listing does without

        return [_tensor(column.name, column.datatype, *column.shape) for column in outputs_of(card.task)]
    return [_tensor("image", "BYTES", -1)] if card.task == "inpaint" else []
