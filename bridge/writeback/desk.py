"""Writes what a run found into its job, in chunks, each exactly once whatever happens in between.

The way of every chunk: written down as sent, sent, answered, the answer written down. Only a chunk without an answer is
ever in doubt, and that one is compared with what CVAT holds before anything of it is sent again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa

from bridge import metrics
from bridge.cvat.client import Cvat
from bridge.cvat.errors import InDoubt
from bridge.log import boundary, event
from bridge.store import ledger, progress
from bridge.store.claims import Claim
from bridge.store.database import Database
from bridge.store.ledger import Book, Line
from bridge.store.progress import Chunk, Reading
from bridge.writeback.content import Defaults, contents_of
from bridge.writeback.held import Held, by_place, line_of, lines_of, present_in
from bridge.writeback.plan import Plan, Sent, Wanted, plan
from bridge.writeback.sheets import CHUNK_ROWS, Key, Sheet, creation, deletion, portions, sheets_of
from bridge.writeback.tally import Tally

T = TypeVar("T")
Ledger = tuple[list[Line], frozenset[tuple[bool, int]]]
"""As `ledger.read` gives it."""

# Frames whose shapes are compared at once.
SLICE_FRAMES = 200
# What is done on so many takes well under a millisecond.
FEW_SHAPES = 20
# What CVAT writes in a second when it is slow: so long may a request that lost its connection still be at work.
SLOW_ROWS_A_SECOND = 500


class Desk:
    """The write-back of one run. `go_on` is awaited before each change in CVAT and may raise to stop the run there."""

    def __init__(
        self,
        database: Database,
        cvat: Cvat,
        *,
        claim: Claim,
        book: Book,
        reading: Reading,
        defaults: Defaults,
        replace: bool,
        go_on: Callable[[], Awaitable[None]],
        grace_s: float = 1.0,
    ) -> None:
        self._database = database
        self._cvat = cvat
        self._claim = claim
        self._book = book
        self._reading = reading
        self._defaults = defaults
        self._replace = replace
        self._go_on = go_on
        self._grace_s = grace_s
        self._number = 0
        self._answered: set[Key] = set()
        # Chunks without an answer, and those that were sent more than once: a sending of them may arrive late.
        self._doubtful: dict[int, Chunk] = {}
        self._held = Held()
        # Whether the job may hold something of ours that this run did not see itself put there.
        self._must_compare = self._must_settle = False
        self.tally = Tally()

    async def open(self, annotations: Mapping[str, Any] | None = None) -> None:
        """Take up where an earlier try stopped. `annotations`: CVAT's, if they were read just now."""
        chunks, (lines, foreign) = await self._database.read(self._stored)
        self._number = max((chunk.number for chunk in chunks), default=0)
        self._answered = {key for chunk in chunks if chunk.ids is not None for key in chunk.keys}
        self._doubtful = {chunk.number: chunk for chunk in chunks if chunk.ids is None or chunk.sendings > 1}
        created = {id_ for chunk in chunks for id_ in chunk.ids or ()}
        earlier = any(line.id not in created for line in lines)
        self._must_settle = earlier or any(chunk.sendings > 1 for chunk in chunks)
        self._must_compare = earlier or bool(self._doubtful)
        unanswered = [chunk for chunk in chunks if chunk.ids is None]
        for chunk in unanswered:
            await self._resolve(chunk)
        if self._must_compare and not unanswered:
            await self._hold(lines, foreign, annotations)

    async def write(self, frames: Sequence[int], sheets: Sequence[Sheet] | None = None) -> None:
        """Create what is missing of `frames`. `sheets`: all of their shapes, where the caller has them at hand."""
        for part in [frames] if sheets is not None else _slices(await self._incomplete(frames)):
            mine = await self._load(part) if sheets is None else sheets
            missing = [sheet for sheet in mine if sheet.key not in self._answered]
            if missing and self._must_compare:
                await self._bring(part, mine, delete=False)
            else:
                await self._create(missing)

    async def settle(self, frames: Sequence[int]) -> None:
        """Read again, then take away what is ours and not wanted any more on `frames` (those that were answered)."""
        if not self._must_settle:
            return
        await self._look()
        for part in _slices(frames):
            await self._bring(part, await self._load(part), delete=True)

    def _stored(self, connection: sa.Connection) -> tuple[list[Chunk], Ledger]:
        return progress.load_chunks(connection, self._claim.run_id), ledger.read(connection, self._book)

    async def _look(self) -> None:
        await self._hold(*await self._database.read(partial(ledger.read, book=self._book)))

    async def _hold(
        self,
        lines: Sequence[Line],
        foreign: frozenset[tuple[bool, int]],
        annotations: Mapping[str, Any] | None = None,
    ) -> None:
        if annotations is None:
            annotations = await self._cvat.annotations(self._book.job_id)
        held = sum(len(annotations[kind]) for kind in ("shapes", "tags"))
        present = await _beside(held, present_in, annotations, self._reading, self._defaults)
        self._held = Held(present, by_place(lines), foreign)

    async def _incomplete(self, frames: Sequence[int]) -> list[int]:
        """Those of `frames` that hold shapes without an answer."""
        if not (frames and self._answered):
            return list(frames)
        stored = await self._database.read(partial(progress.finished_frames, run_id=self._claim.run_id))
        shapes = {frame: count for frame, count, _ in stored}
        answered = Counter(frame for frame, _ in self._answered)
        return [frame for frame in frames if answered[frame] < shapes.get(frame, 0)]

    async def _load(self, frames: Sequence[int]) -> list[Sheet]:
        run_id = self._claim.run_id
        stored = await self._database.read(partial(progress.load_shapes, run_id=run_id, numbers=frames))
        return [sheet for frame in frames if frame in stored for sheet in sheets_of(frame, *stored[frame])]

    def _copies(self) -> dict[Key, int]:
        """How often each key was sent without an answer."""
        return {
            key: chunk.sendings - (chunk.ids is not None) for chunk in self._doubtful.values() for key in chunk.keys
        }

    # Deciding

    async def _bring(self, frames: Sequence[int], sheets: Sequence[Sheet], *, delete: bool) -> None:
        """Create what is missing on `frames`; with `delete`, take away what is ours and not wanted any more."""
        for is_tag in (False, True):
            mine = [sheet for sheet in sheets if sheet.is_tag is is_tag]
            if not (mine or self._held.any(is_tag)):
                continue
            result = await self._decide(is_tag, frames, mine)
            await self._create([mine[number] for number in result.create])
            if delete:
                self.tally.kept += sum(mine[number].key not in self._answered for number in result.kept)
                self.tally.touched += len(result.touched)
                self.tally.covered += len(result.covered)
                await self._delete(is_tag, frames, result.delete)

    async def _decide(self, is_tag: bool, frames: Sequence[int], sheets: Sequence[Sheet]) -> Plan:
        result = await _beside(len(sheets) + self._held.count, self._plan, is_tag, frames, sheets)
        if ids := result.renumbered:
            await self._database.write(partial(ledger.renumber, book=self._book, ids=ids, is_tag=is_tag))
            self._held.renumber(is_tag, ids)
        return result

    def _plan(self, is_tag: bool, frames: Sequence[int], sheets: Sequence[Sheet]) -> Plan:
        copies = self._copies()
        bodies = [orjson.loads(sheet.body) for sheet in sheets]
        wanted = [
            Wanted(content, body, _sent(sheet.key, self._answered, copies), copies.get(sheet.key, 0))
            for sheet, body, content in zip(sheets, bodies, contents_of(bodies, self._defaults), strict=True)
        ]
        held = self._held
        return plan(
            wanted,
            held.owned(is_tag, frames),
            held.there(is_tag, frames),
            foreign=held.others(is_tag),
            replace=self._replace,
        )

    async def _delete(self, is_tag: bool, frames: Sequence[int], ids: Sequence[int]) -> None:
        bodies = {shape.id: shape.body for shape in self._held.there(is_tag, frames)}
        for start in range(0, len(ids), CHUNK_ROWS):
            part = ids[start : start + CHUNK_ROWS]
            await self._go_on()
            boundary("before_delete", run=self._claim.run_id)
            await self._cvat.delete(self._book.job_id, deletion(is_tag, [bodies[id_] for id_ in part]))
            boundary("deleted", run=self._claim.run_id)
            await self._database.write(partial(ledger.remove, book=self._book, ids=part, is_tag=is_tag))
            boundary("delete_closed", run=self._claim.run_id)
            self.tally.deleted += len(part)

    # Sending

    async def _create(self, sheets: Sequence[Sheet]) -> None:
        for part in portions(sheets):
            await self._go_on()
            chunk = Chunk(self._number + 1, [sheet.key for sheet in part], None, time.time(), 1)
            await self._database.write(partial(progress.open_chunk, claim=self._claim, chunk=chunk))
            self._number = chunk.number
            self._doubtful[chunk.number] = chunk
            await self._send(chunk, part)

    async def _send(self, chunk: Chunk, sheets: Sequence[Sheet]) -> None:
        in_order = sorted(sheets, key=lambda sheet: sheet.is_tag)  # as the request has them, and the answer
        boundary("chunk_open", run=self._claim.run_id, chunk=chunk.number)
        try:
            answer = await self._cvat.create(self._book.job_id, creation(in_order))
        except InDoubt as error:
            doubt = error
        else:
            boundary("chunk_answered", run=self._claim.run_id, chunk=chunk.number)
            places = [(sheet.is_tag, sheet.key[0]) for sheet in in_order]
            lines = await _beside(len(places), lines_of, answer, places, self._defaults)
            if lines is not None:
                await self._close(chunk, [sheet.key for sheet in in_order], lines)
                return
            doubt = InDoubt("CVAT's answer does not fit what was sent")
        event("chunk_in_doubt", level=logging.WARNING, run=self._claim.run_id, chunk=chunk.number, error=doubt)
        if chunk.sendings > 1:  # sent again already: from here on the step's own pauses and patience count
            raise doubt
        await self._resolve(chunk)  # believe what is there

    async def _close(self, chunk: Chunk, keys: Sequence[Key], lines: Sequence[Line]) -> None:
        closed = Chunk(chunk.number, list(keys), [line.id for line in lines], chunk.sent_at, chunk.sendings)

        def write(connection: sa.Connection) -> None:
            progress.close_chunk(connection, self._claim, closed)
            ledger.add(connection, self._book, lines)

        await self._database.write(write)
        boundary("chunk_closed", run=self._claim.run_id, chunk=chunk.number)
        self._answered.update(keys)
        if chunk.sendings > 1:
            self._doubtful[chunk.number] = closed
        else:
            del self._doubtful[chunk.number]
        metrics.SHAPES_WRITTEN.inc(len(lines))

    async def _resolve(self, chunk: Chunk) -> None:
        """Find out what of a chunk without an answer is there, and send the rest."""
        patience_s = self._grace_s * (1 + len(chunk.keys) / SLOW_ROWS_A_SECOND)
        await asyncio.sleep(max(0.0, chunk.sent_at + patience_s - time.time()))
        await self._look()
        frames = sorted({frame for frame, _ in chunk.keys})
        doubtful = set(chunk.keys)
        sheets = await self._load(frames)
        keys: list[Key] = []
        lines: list[Line] = []
        for is_tag in (False, True):
            mine = [sheet for sheet in sheets if sheet.is_tag is is_tag]
            if not mine:
                continue
            kept = (await self._decide(is_tag, frames, mine)).kept
            there = {shape.id: shape for shape in self._held.there(is_tag, frames)}
            for number, id_ in kept.items():
                if (key := mine[number].key) in doubtful:
                    keys.append(key)
                    lines.append(line_of(there[id_], is_tag, key[0]))
        doubtful.difference_update(keys)
        rest = [sheet for sheet in sheets if sheet.key in doubtful]
        event("chunk_compared", run=self._claim.run_id, chunk=chunk.number, there=len(keys), missing=len(rest))
        if keys or not rest:
            await self._close(chunk, keys, lines)
            await self._create(rest)
            return
        await self._go_on()
        # Both sendings may arrive in the end.
        self._must_settle = True
        again = Chunk(chunk.number, chunk.keys, None, time.time(), chunk.sendings + 1)
        await self._database.write(partial(progress.reopen_chunk, claim=self._claim, chunk=again))
        self._doubtful[chunk.number] = again
        await self._send(again, rest)


async def _beside(shapes: int, work: Callable[..., T], *given: Any) -> T:
    """`work` on so many shapes, beside the event loop unless it is done before a thread would have begun."""
    return await asyncio.to_thread(work, *given) if shapes > FEW_SHAPES else work(*given)


def _sent(key: Key, answered: set[Key], copies: Mapping[Key, int]) -> Sent:
    if key in answered:
        return Sent.ANSWERED
    return Sent.IN_DOUBT if copies.get(key) else Sent.NEVER


def _slices(frames: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(frames), SLICE_FRAMES):
        yield frames[start : start + SLICE_FRAMES]
