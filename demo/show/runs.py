"""Following runs through the bridge's API, as `kelp runs` does."""

from __future__ import annotations

import datetime
from typing import Any

from demo.show.processes import Processes
from demo.show.stage import Addresses, get_json, why_failing

Run = dict[str, Any]
_BAD = {"failed", "cancelled", "completed_with_errors"}


class Runs:
    """The bridge's runs."""

    def __init__(self, addresses: Addresses, processes: Processes) -> None:
        self._addresses = addresses
        self._processes = processes

    def completed(self, kind: str, *, task: int, model: str, seconds: float) -> Run:
        """The task's run of `kind`, once it is completed. RuntimeError where it ends otherwise, or takes too long.

        Equal events of one task make several runs: one does the work, the others end as skipped.
        """
        found: list[Run] = []

        def ended() -> bool:
            runs = get_json(f"{self._addresses.bridge}/api/v1/runs?task={task}")["runs"]
            mine = [run for run in runs if run["kind"] == kind]
            for run in mine:
                if run["state"] in _BAD:
                    raise RuntimeError(f"the run {kind} of task {task} ended as {run['state']}: {run['reason']}")
            found[:] = [run for run in mine if run["state"] == "completed"]
            if model and (reason := why_failing(self._addresses, model)):
                raise RuntimeError(f"{model} cannot start: {reason}")
            return bool(found)

        self._processes.wait_until(f"the run {kind} of task {task} ends", ended, seconds)
        return found[0]


def seconds_of(run: Run) -> float:
    """From the webhook to the end."""
    began, ended = (datetime.datetime.fromisoformat(run[key]) for key in ("created_at", "finished_at"))
    return (ended - began).total_seconds()
