"""One row of the benchmark: what was measured, against what, and whether it is good enough."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["ratio", "absolute"]


@dataclass(frozen=True)
class Row:
    """A measurement with every sample.

    value: the figure that is judged (a ratio, or seconds, bytes… for kind "absolute"); higher_is_better: how;
    target: must be met; goal: wished for, never failed; unit: of `ours` and `theirs`; samples are in measuring order.
    An absolute row depends on the machine: it only warns where the machine is slower than the one it was set on.
    """

    group: str
    name: str
    value: float
    target: float
    higher_is_better: bool
    unit: str
    ours: list[float]
    theirs: list[float] = field(default_factory=list)
    kind: Kind = "ratio"
    against: str = ""
    goal: float | None = None
    note: str = ""
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        return self.value >= self.target if self.higher_is_better else self.value <= self.target

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "passes": self.passes}


def interleaved(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each, `rounds` of both in turn; one more goes before, to fill the caches."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for function, samples in zip((ours, theirs), taken, strict=True):
            begun = time.perf_counter()
            function()
            if turn:
                samples.append(time.perf_counter() - begun)
    return taken


def ratio_of_medians(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """median(ours) / median(theirs)."""
    return statistics.median(ours) / statistics.median(theirs)


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """1 + median of the paired differences over the median of theirs: drift of the machine cancels out."""
    difference = statistics.median(a - b for a, b in zip(ours, theirs, strict=True))
    return 1.0 + difference / statistics.median(theirs)
