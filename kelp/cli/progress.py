"""Progress on a terminal, on stderr; quiet where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from kelp.card import Card
from kelp.weights import fetch


def fetch_with_bar(card: Card, cache: Path) -> dict[str, Path]:
    """`kelp.weights.fetch` with a bar for each file."""
    with _bars(DownloadColumn(), TransferSpeedColumn()) as bars:
        tasks: dict[str, int] = {}

        def progress(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)  # type: ignore[arg-type]

        return fetch(card, cache, progress)


@contextmanager
def transferring(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar of `total` bytes; what it gives is told how many more are done."""
    with _bars(DownloadColumn(), TransferSpeedColumn()) as bars:
        task = bars.add_task(description, total=total)
        yield lambda count: bars.update(task, advance=count)


class Counter(Protocol):
    """A bar over things that are done one after another."""

    def done(self, count: int = 1) -> None: ...
    def expect(self, total: int | None) -> None:
        """How many there are, once that is known."""
        ...

    def note(self, text: str) -> None:
        """What is happening now, in place of the description."""
        ...


@contextmanager
def counting(description: str, total: int | None) -> Iterator[Counter]:
    """A bar of `total` things, shown where stderr is a terminal."""
    with _bars(MofNCompleteColumn(), TimeElapsedColumn()) as bars:
        task = bars.add_task(description, total=total)

        class Bar:
            def done(self, count: int = 1) -> None:
                bars.update(task, advance=count)

            def expect(self, total: int | None) -> None:
                bars.update(task, total=total)

            def note(self, text: str) -> None:
                bars.update(task, description=text)

        yield Bar()


def _bars(*more: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    columns: Iterable[ProgressColumn] = (TextColumn("{task.description}", markup=False), BarColumn(), *more)
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
