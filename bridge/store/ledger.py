"""The ledger: which shapes in CVAT are a model's own, and what they were when CVAT took them."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from bridge.store.bulk import insert_many
from bridge.store.tables import ledger, ledger_jobs

_ON_JOB = (ledger.c.instance == sa.bindparam("at"), ledger.c.job_id == sa.bindparam("job"))
_READ = sa.select(ledger).where(*_ON_JOB)
_REMOVE = sa.delete(ledger).where(
    *_ON_JOB, ledger.c.is_tag == sa.bindparam("tag"), ledger.c.shape_id == sa.bindparam("id"),
    ledger.c.model == sa.bindparam("by"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Book:
    """The pages of one job and model: `model` without its version, so that a new version takes over."""

    instance: str
    job_id: int
    model: str


class Line(NamedTuple):
    id: int
    is_tag: bool
    frame: int
    hash: bytes
    content: bytes


def read(connection: sa.Connection, book: Book) -> tuple[list[Line], frozenset[tuple[bool, int]]]:
    """The book's lines, and (is_tag, id) of every shape on the job that is another model's."""
    lines, foreign = [], set()
    for row in connection.execute(_READ, {"at": book.instance, "job": book.job_id}):
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
    if ids:
        of = {"at": book.instance, "job": book.job_id, "by": book.model, "tag": is_tag}
        connection.execute(_REMOVE, [{**of, "id": id_} for id_ in sorted(ids)])


def renumber(connection: sa.Connection, book: Book, ids: Mapping[int, int], *, is_tag: bool) -> None:
    """Another client's PUT gave shapes new ids: old → new."""
    if not ids:
        return
    lines, _ = read(connection, book)
    moved = [line for line in lines if line.is_tag is is_tag and line.id in ids]
    remove(connection, book, list(ids), is_tag=is_tag)
    add(connection, book, [Line(ids[line.id], is_tag, line.frame, line.hash, line.content) for line in moved])
