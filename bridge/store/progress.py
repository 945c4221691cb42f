"""What a run has done so far: its reading of the job, its frames with their shapes, and the chunks it sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from bridge.store import claims
from bridge.store.bulk import insert_many
from bridge.store.claims import Claim
from bridge.store.packed import (
    cut,
    pack_ids,
    pack_keys,
    pack_lengths,
    pack_scores,
    unpack_ids,
    unpack_keys,
    unpack_scores,
)
from bridge.store.tables import chunks, frames, readings

Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FrameResult:
    """A frame that was answered, or set aside with `error`. `bodies`: JSON objects, shapes first, then `tags` tags."""

    frame: int
    bodies: Sequence[bytes] = ()
    scores: Sequence[float] = ()
    tags: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A request that creates shapes. `ids`: CVAT's, in order, once it was answered."""

    number: int
    keys: list[Key]
    ids: list[int] | None
    sent_at: float
    sendings: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What the run found in CVAT before it did anything. shapes, tags: ids of what was there."""

    job: dict[str, Any]
    shapes: frozenset[int]
    tags: frozenset[int]


# Made once: to build such a statement takes several times as long as to execute it.
_OF_RUN = {table.name: table.c.run_id == sa.bindparam("run") for table in (readings, frames, chunks)}
_READING = sa.select(readings).where(_OF_RUN["readings"])
_RENEW_READING = sa.update(readings).where(_OF_RUN["readings"])
_KNOWN = sa.select(frames.c.frame).where(
    _OF_RUN["frames"], frames.c.frame.between(sa.bindparam("first"), sa.bindparam("last"))
)
_FINISHED = sa.select(frames.c.frame, frames.c.shapes, frames.c.error).where(_OF_RUN["frames"]).order_by(frames.c.frame)
_SHAPES = sa.select(frames.c.frame, frames.c.lengths, frames.c.bodies, frames.c.tags).where(
    _OF_RUN["frames"], frames.c.frame.between(sa.bindparam("first"), sa.bindparam("last")), frames.c.error.is_(None)
)
_CHUNKS = sa.select(chunks).where(_OF_RUN["chunks"]).order_by(chunks.c.chunk)
_THE_CHUNK = (_OF_RUN["chunks"], chunks.c.chunk == sa.bindparam("number"))
_REOPEN = sa.update(chunks).where(*_THE_CHUNK)
_CLOSE = sa.update(chunks).where(*_THE_CHUNK, chunks.c.ids.is_(None))


def save_reading(
    connection: sa.Connection, claim: Claim, reading: Reading, frames_total: int, details: Mapping[str, Any]
) -> None:
    """Keep the reading; what was there is only taken from the first one, so that our own shapes never count."""
    claims.update(
        connection,
        claim,
        state="running",
        message=None,
        frames_total=frames_total,
        details=orjson.dumps(details).decode(),
    )
    job = orjson.dumps(reading.job).decode()
    changed = connection.execute(_RENEW_READING, {"run": claim.run_id, "job": job})
    if not changed.rowcount:
        present = pack_ids([*sorted(reading.shapes), 0, *sorted(reading.tags)])
        insert_many(connection, readings, [(claim.run_id, job, present)])


def load_reading(connection: sa.Connection, run_id: str) -> Reading | None:
    row = connection.execute(_READING, {"run": run_id}).one_or_none()
    if row is None:
        return None
    ids = unpack_ids(row.present)
    border = ids.index(0)
    return Reading(orjson.loads(row.job), frozenset(ids[:border]), frozenset(ids[border + 1 :]))


def save_frames(
    connection: sa.Connection,
    claim: Claim,
    results: Sequence[FrameResult],
    counted: Mapping[str, Mapping[str, int]] | None = None,
) -> None:
    """Keep frames and their shapes, and count them in the run; `counted`: name → thing → how many more."""
    run = claims.check(connection, claim)
    numbers = [result.frame for result in results]
    between = {"first": min(numbers, default=0), "last": max(numbers, default=-1)}
    known = set(connection.scalars(_KNOWN, {"run": claim.run_id, **between}))
    new = [result for result in results if result.frame not in known]
    insert_many(
        connection,
        frames,
        [
            (
                claim.run_id,
                result.frame,
                result.error,
                len(result.bodies),
                result.tags,
                pack_scores(result.scores),
                pack_lengths(map(len, result.bodies)),
                b"".join(result.bodies),
            )
            for result in new
        ],
    )
    failed = sum(result.error is not None for result in new)
    claims.update(
        connection,
        claim,
        frames_done=run.frames_done + len(new) - failed,
        frames_failed=run.frames_failed + failed,
        shapes_found=run.shapes_found + sum(len(result.bodies) for result in new),
        message=None,
        **_added(run.details, counted if new else None),
    )


def _added(details: str | None, counted: Mapping[str, Mapping[str, int]] | None) -> dict[str, str]:
    if not counted:
        return {}
    known = orjson.loads(details) if details else {}
    for name, numbers in counted.items():
        sums = known.setdefault(name, {})
        for thing, number in numbers.items():
            sums[thing] = sums.get(thing, 0) + number
    return {"details": orjson.dumps(known).decode()}


def finished_frames(connection: sa.Connection, run_id: str) -> list[tuple[int, int, str | None]]:
    """(frame, number of shapes, error) of every frame that is done, in order."""
    return [(row.frame, row.shapes, row.error) for row in connection.execute(_FINISHED, {"run": run_id})]


def load_shapes(connection: sa.Connection, run_id: str, numbers: Sequence[int]) -> dict[int, tuple[list[bytes], int]]:
    """frame → (JSON objects, how many at the end are tags), for frames `numbers` that were answered."""
    between = {"first": min(numbers, default=0), "last": max(numbers, default=-1)}
    found = connection.execute(_SHAPES, {"run": run_id, **between})
    asked = set(numbers)
    return {row.frame: (cut(row.bodies, row.lengths), row.tags) for row in found if row.frame in asked}


def load_chunks(connection: sa.Connection, run_id: str) -> list[Chunk]:
    return [
        Chunk(
            row.chunk,
            unpack_keys(row.keys),
            None if row.ids is None else unpack_ids(row.ids),
            row.sent_at,
            row.sendings,
        )
        for row in connection.execute(_CHUNKS, {"run": run_id})
    ]


def open_chunk(connection: sa.Connection, claim: Claim, chunk: Chunk) -> None:
    """Write down that `chunk` is about to be sent (for the first time)."""
    claims.check(connection, claim)
    row = (claim.run_id, chunk.number, pack_keys(chunk.keys), None, chunk.sent_at, chunk.sendings)
    insert_many(connection, chunks, [row])


def reopen_chunk(connection: sa.Connection, claim: Claim, chunk: Chunk) -> None:
    """Write down that a chunk in doubt is about to be sent again."""
    claims.check(connection, claim)
    values = {"sent_at": chunk.sent_at, "sendings": chunk.sendings}
    connection.execute(_REOPEN, {"run": claim.run_id, "number": chunk.number, **values})


def close_chunk(connection: sa.Connection, claim: Claim, chunk: Chunk) -> None:
    """Write down which of a chunk's shapes are there, and CVAT's ids of them in the same order."""
    run = claims.check(connection, claim)
    ids = chunk.ids or []
    values = {"keys": pack_keys(chunk.keys), "ids": pack_ids(ids)}
    changed = connection.execute(_CLOSE, {"run": claim.run_id, "number": chunk.number, **values})
    if changed.rowcount:
        claims.update(connection, claim, shapes_written=run.shapes_written + len(ids))


def forget(connection: sa.Connection, claim: Claim) -> None:
    """Forget everything that was stored for the run, before it infers anew."""
    claims.check(connection, claim)
    for table in (frames, chunks, readings):
        connection.execute(sa.delete(table).where(table.c.run_id == claim.run_id))
    claims.update(
        connection, claim, again=False, frames_done=0, frames_failed=0, shapes_found=0, shapes_written=0, details=None
    )


@dataclass(frozen=True, slots=True)
class FrameRow:
    frame: int
    error: str | None
    scores: list[float]


def list_frames(connection: sa.Connection, run_id: str, after: int, limit: int) -> list[FrameRow]:
    """Frames that are done or set aside, in order, beyond frame `after`."""
    query = (
        sa.select(frames.c.frame, frames.c.error, frames.c.scores)
        .where(frames.c.run_id == run_id, frames.c.frame > after)
        .order_by(frames.c.frame)
        .limit(limit)
    )
    return [FrameRow(row.frame, row.error, unpack_scores(row.scores)) for row in connection.execute(query)]
