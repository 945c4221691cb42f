"""Counters, gauges and histograms, and Prometheus' text format for them.

Made by hand because a predictor's start is measured in tenths of a second, and importing the client library takes
about half of one. Source of the format: Prometheus, "Exposition formats", text version 0.0.4.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[tuple[str, ...], float]


class Metric:
    """A name, its help, and the names of its labels. Values are kept for each combination of labels."""

    kind = "untyped"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._help = help_text
        self._labels = tuple(labels)
        self._lock = threading.Lock()

    def lines(self) -> Iterator[str]:
        """The metric in Prometheus' text format."""
        yield f"# HELP {self.name} {self._help}"
        yield f"# TYPE {self.name} {self.kind}"
        yield from self._samples()

    def _samples(self) -> Iterator[str]:
        raise NotImplementedError

    def _line(self, suffix: str, labels: tuple[str, ...], value: float, le: str | None = None) -> str:
        pairs = [f'{name}="{_escaped(text)}"' for name, text in zip(self._labels, labels, strict=True)]
        if le is not None:
            pairs.append(f'le="{le}"')
        return (
            f"{self.name}{suffix}{{{','.join(pairs)}}} {_number(value)}"
            if pairs
            else f"{self.name}{suffix} {_number(value)}"
        )


class Counter(Metric):
    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_text, labels)
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *labels: str, amount: float = 1.0) -> None:
        with self._lock:
            self._values[labels] = self._values.get(labels, 0.0) + amount

    def _samples(self) -> Iterator[str]:
        with self._lock:
            values = dict(self._values)
        for labels, value in values.items():
            yield self._line("", labels, value)


class Gauge(Metric):
    """Read when it is asked for; no samples where `read` gives none."""

    kind = "gauge"

    def __init__(
        self, name: str, help_text: str, read: Callable[[], Iterable[Sample]], labels: Sequence[str] = ()
    ) -> None:
        super().__init__(name, help_text, labels)
        self._read = read

    def _samples(self) -> Iterator[str]:
        for labels, value in self._read():
            yield self._line("", labels, value)


class Histogram(Metric):
    """`buckets`: rising upper bounds, inclusive; one more, without bound, is added."""

    kind = "histogram"

    def __init__(self, name: str, help_text: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_text, labels)
        self._bounds = tuple(buckets)
        # Per combination of labels: a count a bucket, then the sum.
        self._values: dict[tuple[str, ...], list[float]] = {} if labels else {(): self._empty()}

    def observe(self, value: float, *labels: str) -> None:
        place = bisect_left(self._bounds, value)
        with self._lock:
            counts = self._values.setdefault(labels, self._empty())
            counts[place] += 1
            counts[-1] += value

    def _empty(self) -> list[float]:
        return [0.0] * (len(self._bounds) + 2)

    def _samples(self) -> Iterator[str]:
        with self._lock:
            values = {labels: list(counts) for labels, counts in self._values.items()}
        for labels, counts in values.items():
            below = 0.0
            for bound, count in zip((*map(_number, self._bounds), "+Inf"), counts[:-1], strict=True):
                below += count
                yield self._line("_bucket", labels, below, bound)
            yield self._line("_sum", labels, counts[-1])
            yield self._line("_count", labels, below)


def render(metrics: Iterable[Metric]) -> bytes:
    """The body of an answer to a scrape."""
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines()).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
