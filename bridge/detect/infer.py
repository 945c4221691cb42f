"""Asking the model: several images a request, and what cannot be answered is set aside frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.detect.alone import PAUSE_ALONE_S, Refused, ask_alone, is_the_models, refuse_callers_fault
from bridge.detect.frames import Frame
from kelp.detections import Detections
from kelp.errors import BadGateway, InvalidRequest, KelpError, NotFound, NotReady, OutOfMemory, TooLarge, TooLate


class Detector(Protocol):
    """The part of `kelp.client`'s asynchronous clients that is used here."""

    async def detect(
        self,
        model: str,
        images: Sequence[Any],
        *,
        outputs: Sequence[str] | None = ...,
        parameters: Any = ...,
        timeout_s: float | None = ...,
    ) -> Detections: ...


@dataclass(frozen=True, slots=True)
class Answered:
    """`detections` has one image a frame, in the same order."""

    frames: Sequence[Frame]
    detections: Detections


@dataclass(frozen=True, slots=True)
class SetAside:
    frame: int
    reason: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every frame of a run. timeout_s: of one request, a restart of the model included."""

    detector: Detector
    model: str
    outputs: Sequence[str] | None
    parameters: Mapping[str, Any]
    timeout_s: float | None = None
    pause_s: float = PAUSE_ALONE_S

    async def ask(self, frames: Sequence[Frame]) -> list[Answered | SetAside]:
        """An answer for each of `frames`, whatever happens to some of them.

        RunEnds where the model refuses the request as such; passing errors (not ready, no connection) are raised.
        """
        if not frames:
            return []
        if len(frames) == 1:
            return [await self._ask_alone(frames[0])]
        try:
            return [await self._once(frames)]
        except InvalidRequest as error:
            refuse_callers_fault(error)
            bad = {i for i in error.image_indices or () if 0 <= i < len(frames)}
            if not bad:
                return await self._ask_each(frames)
            aside = [SetAside(frames[i].number, error.message) for i in sorted(bad)]
            return [*aside, *await self.ask([frame for i, frame in enumerate(frames) if i not in bad])]
        except (OutOfMemory, TooLarge, TooLate):
            return await self._ask_each(frames)
        except KelpError as error:
            if is_the_models(error):
                return await self._ask_each(frames)
            raise

    async def _ask_each(self, frames: Sequence[Frame]) -> list[Answered | SetAside]:
        return [await self._ask_alone(frame) for frame in frames]

    async def _ask_alone(self, frame: Frame) -> Answered | SetAside:
        answer = await ask_alone(lambda: self._once([frame]), self.pause_s)
        return SetAside(frame.number, answer.reason) if isinstance(answer, Refused) else answer

    async def _once(self, frames: Sequence[Frame]) -> Answered:
        try:
            detections = await self.detector.detect(
                self.model,
                [frame.image for frame in frames],
                outputs=self.outputs,
                parameters=dict(self.parameters),
                timeout_s=self.timeout_s,
            )
        except NotFound as error:
            # Being replaced, perhaps: asked again from its card on, which knows when to give up.
            raise NotReady(f"{self.model} was taken away: {error.message}") from None
        if detections.image_count != len(frames):
            raise BadGateway(f"{self.model} answered for {detections.image_count} images instead of {len(frames)}")
        return Answered(frames, detections)
