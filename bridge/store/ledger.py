"""The ledger: which shapes in CVAT are a model's own, and what they were when CVAT took them."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.bulk import insert_many
from bridge.store.tables import ledger, ledger_jobs

# Ids in one statement, below SQLite's limit of variables.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Book:
    """The pages of one job and model: `model` without its version, so that a new version takes over."""

    instance: str
    job_id: int
    model: str


@dataclass(frozen=True, slots=True)
class Line:
    id: int
    is_tag: bool
    frame: int
    hash: bytes
    content: bytes


def read(connection: sa.Connection, book: Book) -> tuple[list[Line], frozenset[tuple[bool, int]]]:
    """The book's lines, and (is_tag, id) of every shape on the job that is another model's."""
    query = sa.select(ledger).where(ledger.c.instance == book.instance, ledger.c.job_id == book.job_id)
    lines, foreign = [], set()
    for row in connection.execute(query):
        if row.model == book.model:
            lines.append(Line(row.shape_id, row.is_tag, row.frame, row.hash, row.content))
        else:
            foreign.add((row.is_tag, row.shape_id))
    return lines, frozenset(foreign)


def add(connection: sa.Connection, book: Book, lines: Sequence[Line]) -> None:
    if not lines:
        return
    rows = [
        (book.instance, book.job_id, line.is_tag, line.id, book.model, line.frame, line.hash, line.content)
        for line in lines
    ]
    insert_many(connection, ledger, rows)
    insert_many(connection, ledger_jobs, [(book.instance, book.job_id, time.time())])


def remove(connection: sa.Connection, book: Book, ids: Collection[int], *, is_tag: bool) -> None:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        connection.execute(
            sa.delete(ledger).where(
                *_of(book), ledger.c.is_tag == is_tag, ledger.c.shape_id.in_(ordered[start : start + _AT_ONCE])
            )
        )


def renumber(connection: sa.Connection, book: Book, ids: Mapping[int, int], *, is_tag: bool) -> None:
    """Another client's PUT gave shapes new ids: old → new."""
    if not ids:
        return
    query = sa.select(ledger).where(*_of(book), ledger.c.is_tag == is_tag)
    moved = [row for row in connection.execute(query) if row.shape_id in ids]
    remove(connection, book, list(ids), is_tag=is_tag)
    add(
        connection,
        book,
        [Line(ids[row.shape_id], row.is_tag, row.frame, row.hash, row.content) for row in moved],
    )


def _of(book: Book) -> tuple[sa.ColumnElement[bool], ...]:
    return ledger.c.instance == book.instance, ledger.c.job_id == book.job_id, ledger.c.model == book.model
