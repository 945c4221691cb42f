"""Whether the model can be used: starting, ready, failing or stopping, and why."""

from __future__ import annotations

from typing import Literal

from kelp.card.metadata import State
from kelp.errors import NotReady

Phase = Literal["starting", "ready", "failing", "stopping"]
RETRY_AFTER_S = 2.0


class Lifecycle:
    """One model's state. Written by the model's thread and the main thread, read by everybody."""

    def __init__(self, model_name: str) -> None:
        self._name = model_name
        self.phase: Phase = "starting"
        self.reason = ""

    @property
    def ready(self) -> bool:
        return self.phase == "ready"

    @property
    def state(self) -> State:
        """The model's state in the words of the repository index."""
        return "failing" if self.phase in ("failing", "stopping") else self.phase  # type: ignore[return-value]

    def loaded(self) -> None:
        if self.phase == "starting":
            self.phase = "ready"

    def failed(self, reason: str) -> None:
        self.phase, self.reason = "failing", reason

    def stop(self) -> None:
        self.phase, self.reason = "stopping", "the server is stopping"

    def check(self) -> None:
        """NotReady unless the model can be used."""
        if self.ready:
            return
        what = {"starting": "is starting", "failing": "has failed", "stopping": "is stopping"}[self.phase]
        raise NotReady(f"{self._name} {what}", retry_after_s=RETRY_AFTER_S)
