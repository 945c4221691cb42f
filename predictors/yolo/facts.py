"""What a weights file says of itself, and whether that fits the card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelp.card import Card
from predictors.common.errors import WeightsError

TASKS = ("segment", "detect", "pose")
# ultralytics pads for checkpoints at least so; with both engines alike, both see the same pixels.
SMALLEST_STRIDE = 32


@dataclass(frozen=True, slots=True)
class Facts:
    """What the weights say of themselves.

    task: ultralytics' name of it, None where the file is silent; names: label names by id, empty where it is silent
    input_hw: height and width the model was trained for; stride: sides of its input are multiples of it
    any_size: whether it takes other sizes than input_hw; batch: the one number of images it takes, None for any
    keypoint_shape: (points, values of each) of a pose model; finished: whether its answers are final (heads without
    non-maximum suppression, or with it inside)
    """

    task: str | None
    names: tuple[str, ...]
    input_hw: tuple[int, int]
    stride: int
    any_size: bool
    batch: int | None
    keypoint_shape: tuple[int, int] | None
    finished: bool


def names_of(given: Any, file: str) -> tuple[str, ...]:
    """Label names by id, from ultralytics' dict or list of names. WeightsError where ids are missing."""
    if isinstance(given, Mapping):
        try:
            by_id = {int(key): str(name) for key, name in given.items()}
        except (TypeError, ValueError):
            raise WeightsError(f"{file}: names: expected numbers as keys") from None
        if sorted(by_id) != list(range(len(by_id))):
            raise WeightsError(f"{file}: names: expected ids from 0 to {len(by_id) - 1}, got {sorted(by_id)[:20]}")
        return tuple(by_id[i] for i in range(len(by_id)))
    if isinstance(given, (list, tuple)):
        return tuple(str(name) for name in given)
    return ()


def size_of(given: Any, stride: int, file: str) -> tuple[int, int]:
    """(height, width) of an `imgsz`, a number or two, rounded up to whole strides. WeightsError for anything else."""
    sides = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(sides) not in (1, 2) or not all(isinstance(s, (int, float)) and 1 <= s <= 16384 for s in sides):
        raise WeightsError(f"{file}: imgsz: expected one or two sides in pixels, got {given!r}")
    height, width = (-int(-side // stride) * stride for side in (sides[0], sides[-1]))
    return height, width


def labels_for(card: Card, facts: Facts, file: str) -> tuple[str, ...]:
    """Label names by id: the card's, else the weights'. WeightsError where card and weights contradict each other."""
    if facts.task is not None and facts.task != card.task:
        raise WeightsError(f"{file}: the weights are for task '{facts.task}', the card says '{card.task}'")
    given, carried = tuple(card.label_names()), facts.names
    if not given and not carried:
        raise WeightsError(f"{file}: neither the card nor the weights name any labels")
    if given and carried and len(given) != len(carried):
        raise WeightsError(
            f"{file}: the card has {len(given)} labels, the weights {len(carried)}: {', '.join(carried)[:500]}"
        )
    if given != carried and sorted(given) == sorted(carried):
        raise WeightsError(
            f"{file}: the card has the weights' labels in another order; label ids follow: {', '.join(carried)[:500]}"
        )
    for label in card.labels:
        points = facts.keypoint_shape[0] if facts.keypoint_shape else 0
        if label.sublabels and len(label.sublabels) != points:
            raise WeightsError(
                f"{file}: the card's label '{label.name}' has {len(label.sublabels)} points, the weights have {points}"
            )
    return given or carried
