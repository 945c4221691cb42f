"""Trying webhooks by CVAT's ping, while they are compared and after they are made, and what is wrong with each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from kelp.errors import KelpError
from kelp.pipeline.cvat import Cvat
from kelp.pipeline.delivery import REACHED, of_delivery
from kelp.pipeline.findings import Finding, cause_of, fails
from kelp.pipeline.servers import bridge_health
from kelp.pipeline.settings import PipelineSettings

Json = dict[str, Any]


class Pings:
    """wanted: whether any is to be sent; bridge: its address as CVAT sees it. After one that was not answered no other
    is sent: each would take CVAT 10 s."""

    def __init__(self, cvat: Cvat, settings: PipelineSettings, *, bridge: str, file: str, wanted: bool) -> None:
        self._cvat = cvat
        self._settings = settings
        self._bridge = bridge
        self._file = file
        self._wanted = self._goes_on = wanted
        self._told: dict[int, Json | KelpError] = {}

    def __call__(self, webhook: Json) -> Json | None:
        """The delivery of a ping to `webhook`; None where none was sent, or CVAT could not tell."""
        return self._try(int(webhook["id"]))

    def again(self, touched: Sequence[int]) -> None:
        """Ping what was made or changed: what was told of it before counts no longer."""
        self._goes_on = self._wanted
        for number in touched:
            self._told.pop(number, None)
        for number in touched:
            self._try(number)

    def failing(self) -> list[Finding]:
        """A finding for each webhook whose last ping did not come back as it should."""
        found = [self._finding(number, told) for number, told in self._told.items()]
        return [finding for finding in found if finding.state == "fails"]

    def _try(self, number: int) -> Json | None:
        if not self._goes_on:
            return None
        try:
            told = self._cvat.ping(number)
        except KelpError as error:  # of a ping alone: an answer that CVAT cannot store makes it a 500
            self._told[number] = error
            self._goes_on = False
            return None
        self._told[number] = told
        self._goes_on = told.get("status_code") in REACHED
        return told

    def _finding(self, number: int, told: Json | KelpError) -> Finding:
        link = f"webhook {number}"
        if isinstance(told, KelpError):
            return fails(
                link, f"it could not be tried: {told.message}", "try again; see CVAT's own log", cause_of(told)
            )
        reached = told.get("status_code") in REACHED
        return of_delivery(link, self._bridge, told, file=self._file, bridge_at="" if reached else self._bridge_at)

    @cached_property
    def _bridge_at(self) -> str:
        return bridge_health(self._settings, self._bridge).url
