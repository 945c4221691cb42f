"""What `kelp up` measures about its models, in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_STATES = ("asleep", "starting", "ready", "failing")


class Metrics:
    """Model names are cards' names: they need no escaping."""

    def __init__(self) -> None:
        self._starts: dict[str, list[float]] = {}  # a count a bucket, one beyond the last bound, then the sum
        self._stops: dict[str, int] = {}
        self._failures: dict[str, int] = {}

    def cold_start(self, model: str, seconds: float) -> None:
        """From the first request to readiness."""
        counts = self._starts.setdefault(model, [0.0] * (len(_BOUNDS_S) + 2))
        counts[bisect_left(_BOUNDS_S, seconds)] += 1
        counts[-1] += seconds

    def stopped(self, model: str) -> None:
        self._stops[model] = self._stops.get(model, 0) + 1

    def failed(self, model: str) -> None:
        self._failures[model] = self._failures.get(model, 0) + 1

    def render(self, states: Iterable[tuple[str, str]]) -> str:
        """`states`: (model, state) now."""
        return "".join(line + "\n" for line in self._lines(states))

    def _lines(self, states: Iterable[tuple[str, str]]) -> Iterator[str]:
        yield "# HELP kelp_model_state 1 for the state that a model is in"
        yield "# TYPE kelp_model_state gauge"
        for model, state in states:
            for name in _STATES:
                yield f'kelp_model_state{{model="{model}",state="{name}"}} {int(name == state)}'
        yield "# HELP kelp_cold_start_seconds from the request that woke a model to its readiness"
        yield "# TYPE kelp_cold_start_seconds histogram"
        for model, counts in self._starts.items():
            below = 0.0
            for bound, count in zip((*(f"{b:g}" for b in _BOUNDS_S), "+Inf"), counts[:-1], strict=True):
                below += count
                yield f'kelp_cold_start_seconds_bucket{{model="{model}",le="{bound}"}} {below:g}'
            yield f'kelp_cold_start_seconds_sum{{model="{model}"}} {counts[-1]!r}'
            yield f'kelp_cold_start_seconds_count{{model="{model}"}} {below:g}'
        yield from _counter("kelp_model_stops_total", "processes put to sleep", self._stops)
        yield from _counter("kelp_model_failures_total", "processes that died or did not start", self._failures)


def _counter(name: str, meaning: str, values: dict[str, int]) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} counter"
    for model, value in values.items():
        yield f'{name}{{model="{model}"}} {value}'
