"""One thread that writes: what arrives while a transaction is on its way shares the next one, and its one fsync."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from bridge import log
from kelp.errors import NotReady

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

# Enough to share a commit, few enough that nobody waits long behind others.
MOST_AT_ONCE = 128


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    deadline: float
    future: Future[Any] = field(default_factory=Future)


class DatabaseGone(NotReady):
    """The database did not answer in time; whether the last change was kept is unknown."""

    default_code = "database_unavailable"


class Writer:
    """Runs functions of a connection in order, several in one transaction.

    A function must be repeatable: when another one in the same transaction fails, or the connection breaks, it runs
    again. A future is resolved only after the commit.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="kelp-writer", daemon=True)
        self._closed = False
        self._thread.start()

    def submit(self, work: Work[T], *, patience_s: float) -> Future[T]:
        """`work`'s result after its commit; DatabaseGone if there is no database for `patience_s`."""
        job = _Job(work, time.monotonic() + patience_s)
        if self._closed:
            job.future.set_exception(DatabaseGone("the bridge is stopping"))
        else:
            self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """Finish what was submitted, then stop."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join(timeout=30)

    def _run(self) -> None:
        open_ = True
        while open_:
            batch: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                # From here on nobody can take it back; one that was taken back already is left out.
                if job.future.set_running_or_notify_cancel():
                    batch.append(job)
                if len(batch) >= MOST_AT_ONCE or self._jobs.empty():
                    break
                job = self._jobs.get()
            open_ = job is not None
            if batch:
                self._commit(batch)

    def _commit(self, batch: list[_Job]) -> None:
        try:
            with self._engine.begin() as connection:
                results = [job.work(connection) for job in batch]
        except BaseException:  # whatever it was, each function gets a transaction of its own and its own error
            for job in batch:
                self._commit_alone(job)
            return
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)

    def _commit_alone(self, job: _Job) -> None:
        def transaction() -> Any:
            with self._engine.begin() as connection:
                return job.work(connection)

        try:
            result = patiently(transaction, job.deadline)
        except BaseException as error:  # handed to whoever asked; this thread must outlive it
            job.future.set_exception(error)
        else:
            job.future.set_result(result)


def patiently(attempt: Callable[[], T], deadline: float) -> T:
    """`attempt`, again and again while the database is gone, until `deadline` (monotonic); then DatabaseGone."""
    pause = 0.05
    while True:
        try:
            return attempt()
        except exc.DBAPIError as error:
            if not _is_passing(error):
                raise
            if time.monotonic() + pause > deadline:
                log.event("database_unavailable", level=logging.WARNING, error=error.orig or error)
                raise DatabaseGone("the database does not answer") from None
        time.sleep(pause)
        pause = min(pause * 2, 1.0)


def _is_passing(error: exc.DBAPIError) -> bool:
    """Whether the same may succeed in a moment: the connection broke, the server restarts, a lock was not given."""
    if error.connection_invalidated or isinstance(error, exc.InterfaceError):
        return True
    if not isinstance(error, exc.OperationalError):
        return False
    text = str(error.orig).lower()
    return "no such" not in text and "syntax" not in text
