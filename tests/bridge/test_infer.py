"""Asking the model: whatever becomes of some images, the others are answered, and each is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from bridge.detect.alone import TRIES_ALONE
from bridge.detect.frames import Frame
from bridge.detect.infer import Answered, Question, SetAside
from bridge.runs.endings import RunEnds
from kelp.detections import Detections
from kelp.errors import (
    BadGateway,
    InvalidImage,
    InvalidRequest,
    KelpError,
    NotFound,
    NotReady,
    OutOfMemory,
    QueueFull,
    TooLarge,
    TooLate,
    Unreachable,
)

FRAMES = [Frame(10 + n, bytes([n])) for n in range(5)]


def empty(count: int) -> Detections:
    return Detections(
        image_index=np.zeros(0, np.int32), label_id=np.zeros(0, np.int32), labels=("a",), score=np.zeros(0, np.float32),
        box=np.zeros((0, 4), np.float32), image_size=np.ones((count, 2), np.int32),
    )  # fmt: skip


class Model:
    """Answers unless `fault` raises for the images of a request."""

    def __init__(self, fault: Callable[[list[int]], KelpError | None]) -> None:
        self.fault = fault
        self.asked: list[list[int]] = []

    async def detect(self, model: str, images: Sequence[Any], **_: Any) -> Detections:
        numbers = [image[0] for image in images]
        self.asked.append(numbers)
        if (error := self.fault(numbers)) is not None:
            raise error
        return empty(len(images))


def ask(model: Model, frames: Sequence[Frame] = FRAMES) -> tuple[list[int], dict[int, str]]:
    """Frames that were answered, and those set aside with the reason; every frame exactly once."""
    outcomes = asyncio.run(Question(model, "m", None, {}, pause_s=0.001).ask(frames))
    answered = [frame.number for o in outcomes if isinstance(o, Answered) for frame in o.frames]
    aside = {o.frame: o.reason for o in outcomes if isinstance(o, SetAside)}
    assert sorted([*answered, *aside]) == [frame.number for frame in frames]
    return answered, aside


def test_one_request_when_nothing_is_wrong() -> None:
    model = Model(lambda images: None)
    assert ask(model) == ([10, 11, 12, 13, 14], {})
    assert model.asked == [[0, 1, 2, 3, 4]]


def test_the_images_that_the_answer_names_are_set_aside_and_the_rest_asked_again() -> None:
    def fault(images: list[int]) -> KelpError | None:
        bad = [place for place, image in enumerate(images) if image in (1, 3)]
        return InvalidImage(f"images {bad} cannot be read", image_indices=bad) if bad else None

    model = Model(fault)
    answered, aside = ask(model)
    assert answered == [10, 12, 14]
    assert set(aside) == {11, 13}
    assert model.asked == [[0, 1, 2, 3, 4], [0, 2, 4]]


@pytest.mark.parametrize("indices", [None, [], [7], [-1]])
def test_an_answer_that_names_no_image_has_each_asked_alone(indices: list[int] | None) -> None:
    def fault(images: list[int]) -> KelpError | None:
        return InvalidRequest("cannot be read", image_indices=indices) if 2 in images else None

    assert ask(Model(fault)) == ([10, 11, 13, 14], {12: "cannot be read"})


def test_all_images_bad_is_no_endless_asking() -> None:
    model = Model(lambda images: InvalidImage("bad", image_indices=list(range(len(images)))))
    assert set(ask(model)[1]) == {10, 11, 12, 13, 14}
    assert len(model.asked) == 1


@pytest.mark.parametrize("error", [OutOfMemory, TooLarge, TooLate])
def test_what_is_too_much_together_is_asked_alone(error: type[KelpError]) -> None:
    model = Model(lambda images: error("too much") if len(images) > 1 else None)
    assert ask(model) == ([10, 11, 12, 13, 14], {})


def test_an_image_too_large_for_the_device_is_tried_three_times_alone() -> None:
    model = Model(lambda images: OutOfMemory("needs 20 GB") if 4 in images else None)
    assert ask(model) == ([10, 11, 12, 13], {14: "needs 20 GB"})
    assert model.asked.count([4]) == TRIES_ALONE == 3


def test_a_device_that_was_full_for_a_moment_loses_no_image() -> None:
    left = [2]

    def fault(images: list[int]) -> KelpError | None:
        if images == [4] and left[0]:
            left[0] -= 1
            return OutOfMemory("for now")
        return OutOfMemory("together") if len(images) > 1 else None

    assert ask(Model(fault)) == ([10, 11, 12, 13, 14], {})


def test_an_image_that_breaks_the_model_is_set_aside() -> None:
    assert ask(Model(lambda images: KelpError("inference failed") if 0 in images else None)) == (
        [11, 12, 13, 14],
        {10: "inference failed"},
    )


@pytest.mark.parametrize("error", [NotReady, Unreachable, QueueFull, BadGateway])
def test_trouble_on_the_way_blames_no_image(error: type[KelpError]) -> None:
    with pytest.raises(error):
        ask(Model(lambda images: error("later")))
    with pytest.raises(error):
        ask(Model(lambda images: error("later")), FRAMES[:1])


@pytest.mark.parametrize("frames", [FRAMES, FRAMES[:1]])
def test_what_is_wrong_with_every_request_ends_the_run(frames: Sequence[Frame]) -> None:
    with pytest.raises(RunEnds) as ended:
        ask(Model(lambda images: InvalidRequest("unknown parameter 'x'", code="unknown_parameter")), frames)
    assert ended.value.state == "failed"


@pytest.mark.parametrize("frames", [FRAMES, FRAMES[:1]])
def test_a_model_that_is_replaced_meanwhile_may_come_back(frames: Sequence[Frame]) -> None:
    with pytest.raises(NotReady):
        ask(Model(lambda images: NotFound("no such model")), frames)


def test_an_answer_for_another_number_of_images_is_none() -> None:
    class Short(Model):
        async def detect(self, model: str, images: Sequence[Any], **_: Any) -> Detections:
            return empty(1)

    with pytest.raises(BadGateway):
        ask(Short(lambda images: None))
