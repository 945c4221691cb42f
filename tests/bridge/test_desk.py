"""Writing in chunks: what CVAT holds in the end is what was wanted, whatever became of any request."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from bridge.cvat.errors import CvatRefused, InDoubt
from bridge.runs.endings import RunEnds
from bridge.store import ledger, progress
from bridge.store.claims import Claim
from bridge.store.database import Database
from bridge.store.intake import Intake, NewRun
from bridge.store.ledger import Book
from bridge.store.migrate import upgrade
from bridge.store.progress import Chunk, FrameResult, Reading
from bridge.store.tables import runs
from bridge.writeback import sheets as sheets_module
from bridge.writeback.desk import Desk

BOOK = Book("http://cvat", 5, "reef")
FRAMES = range(4)
EACH = 5


class Cvat:
    """A job's annotations, and what goes wrong with the next creations."""

    def __init__(self) -> None:
        self.shapes: dict[int, dict[str, Any]] = {}
        self.tags: dict[int, dict[str, Any]] = {}
        self.next_id = 100
        self.creations = 0
        self.faults: list[Callable[[], Any]] = []

    async def annotations(self, job_id: int) -> dict[str, Any]:
        by_id = {
            k: sorted(v.values(), key=lambda s: -s["id"]) for k, v in (("shapes", self.shapes), ("tags", self.tags))
        }
        return {**by_id, "tracks": []}

    async def create(self, job_id: int, body: bytes) -> dict[str, Any]:
        self.creations += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault in (lost, refused):
            fault()
        answer = self.add(orjson.loads(body))
        return answer if fault is None else fault()

    def add(self, sent: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for kind, held in (("shapes", self.shapes), ("tags", self.tags)):
            answer[kind] = []
            for shape in sent[kind]:
                self.next_id += 1
                held[self.next_id] = {**shape, "id": self.next_id, "group": None}
                answer[kind].append(held[self.next_id])
        return answer

    async def delete(self, job_id: int, body: bytes) -> dict[str, Any]:
        for kind, held in (("shapes", self.shapes), ("tags", self.tags)):
            for shape in orjson.loads(body)[kind]:
                held.pop(shape["id"], None)
        return {}

    def contents(self) -> Counter[str]:
        return Counter(_text(s) for s in (*self.shapes.values(), *self.tags.values()))


def lost() -> Any:
    raise InDoubt("nobody knows, and it did not arrive")


def arrived() -> Any:
    raise InDoubt("nobody knows, and it did arrive")


def refused() -> Any:
    raise CvatRefused("label_id `7` is invalid", 400)


def nonsense() -> Any:
    return {"shapes": [], "tags": []}


def shape(frame: int, number: int, label: int = 1) -> dict[str, Any]:
    x = 10.0 * (number // 2)  # every second one equals the one before: multisets, not sets
    points = [x, 0.0, x + 5, 0.0, x + 5, 5.0]
    return {"type": "polygon", "frame": frame, "label_id": label, "points": points, "source": "auto", "attributes": []}


def tag(frame: int) -> dict[str, Any]:
    return {"frame": frame, "label_id": 9, "source": "auto", "attributes": []}


def _text(body: dict[str, Any]) -> str:
    return orjson.dumps(
        {k: v for k, v in body.items() if k not in {"id", "group"}}, option=orjson.OPT_SORT_KEYS
    ).decode()


WANTED = {frame: [*(shape(frame, n) for n in range(EACH)), tag(frame)] for frame in FRAMES}
ALL = Counter(_text(body) for bodies in WANTED.values() for body in bodies)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder / 'bridge.db'}")
        upgrade(self.database.engine)
        self.database.start()
        self.cvat = Cvat()
        self.claim = Claim("", 0)
        self.stop_after: int | None = None

    async def begin(self, wanted: dict[int, list[dict[str, Any]]] = WANTED) -> None:
        """A new run on the job, its shapes found and stored."""
        self.claim = Claim(f"{time.monotonic_ns():032x}", 1)
        run = NewRun(
            self.claim.run_id, "detect", 0, BOOK.instance, 1, 1, BOOK.job_id, "m", "{}", "", "", "", time.time()
        )
        await Intake(self.database).accept(run)
        held = await self.cvat.annotations(BOOK.job_id)
        reading = Reading({}, frozenset(s["id"] for s in held["shapes"]), frozenset(t["id"] for t in held["tags"]))
        results = [
            FrameResult(frame, [orjson.dumps(body) for body in bodies], [0.5] * len(bodies), "type" not in bodies[-1])
            for frame, bodies in wanted.items()
        ]

        def fill(connection: sa.Connection) -> None:
            connection.execute(sa.update(runs).values(state="completed"))
            connection.execute(sa.update(runs).where(runs.c.id == self.claim.run_id).values(state="running", epoch=1))
            progress.save_reading(connection, self.claim, reading, len(wanted), {})
            progress.save_frames(connection, self.claim, results)

        await self.database.write(fill)

    async def desk(self) -> Desk:
        """As after a start of the process: nothing is remembered but what is written down."""
        reading = await self.database.read(lambda c: progress.load_reading(c, self.claim.run_id))
        assert reading is not None
        desk = Desk(
            self.database, self.cvat, claim=self.claim, book=BOOK, reading=reading, defaults={}, replace=True,  # type: ignore[arg-type]
            go_on=self.go_on, grace_s=0.0,
        )  # fmt: skip
        await desk.open()
        return desk

    async def go_on(self) -> None:
        if self.stop_after is not None and self.cvat.creations >= self.stop_after:
            raise RunEnds("cancelled", "enough")

    async def write(self) -> Desk:
        desk = await self.desk()
        await desk.write(list(FRAMES))
        await desk.settle(list(FRAMES))
        return desk

    async def ledger_ids(self) -> set[int]:
        lines, _ = await self.database.read(lambda c: ledger.read(c, BOOK))
        return {line.id for line in lines}

    def ids(self) -> set[int]:
        return {*self.cvat.shapes, *self.cvat.tags}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(sheets_module.portions, "__defaults__", (7, 1 << 20))  # small chunks
    made = Scene(tmp_path)
    yield made
    made.database.close()


def test_everything_is_written_in_chunks_and_every_shape_has_its_line(scene: Scene) -> None:
    async def story() -> None:
        await scene.begin()
        await scene.write()
        assert scene.cvat.contents() == ALL
        assert scene.cvat.creations == 4  # 24 in chunks of 7
        assert await scene.ledger_ids() == scene.ids()
        await scene.write()  # as after a crash at the very end
        assert scene.cvat.creations == 4

    asyncio.run(story())


@pytest.mark.parametrize("fault", [lost, arrived, nonsense])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_chunk_without_a_clear_answer_is_there_once(scene: Scene, fault: Callable[[], Any], at: int) -> None:
    async def story() -> None:
        await scene.begin()
        scene.cvat.faults = [*[None] * at, fault]  # type: ignore[list-item]
        await scene.write()
        assert scene.cvat.contents() == ALL
        assert await scene.ledger_ids() == scene.ids()

    asyncio.run(story())


def test_of_a_chunk_of_which_half_is_there_the_other_half_is_sent(scene: Scene) -> None:
    async def story() -> None:
        await scene.begin()
        keys = [(frame, place) for frame in FRAMES for place in range(EACH + 1)]
        chunk = Chunk(1, keys, None, time.time(), 1)
        await scene.database.write(lambda c: progress.open_chunk(c, scene.claim, chunk))
        scene.cvat.add({"shapes": [b for f in (0, 1) for b in WANTED[f] if "type" in b], "tags": [tag(0), tag(1)]})
        there = scene.ids()
        await scene.write()
        assert scene.cvat.contents() == ALL
        assert there <= scene.ids()
        assert await scene.ledger_ids() == scene.ids()

    asyncio.run(story())


def test_a_sending_that_arrives_late_is_taken_back(scene: Scene) -> None:
    async def story() -> None:
        await scene.begin()
        late: list[dict[str, Any]] = []

        def keep() -> Any:
            # What was sent last is held back, and comes after all of it was sent again.
            newest = sorted(scene.ids())[-7:]
            late.extend(scene.cvat.shapes.pop(i) for i in newest if i in scene.cvat.shapes)
            for i in newest:
                scene.cvat.tags.pop(i, None)
            raise InDoubt("on its way")

        scene.cvat.faults = [keep]
        desk = await scene.desk()
        await desk.write(list(FRAMES))
        scene.cvat.add({"shapes": [{k: v for k, v in s.items() if k != "id"} for s in late], "tags": []})
        assert scene.cvat.contents() != ALL
        await desk.settle(list(FRAMES))
        assert scene.cvat.contents() == ALL
        assert await scene.ledger_ids() == scene.ids()

    asyncio.run(story())


def test_a_refused_chunk_ends_it_and_the_others_stay(scene: Scene) -> None:
    async def story() -> None:
        await scene.begin()
        scene.cvat.faults = [None, refused]  # type: ignore[list-item]
        with pytest.raises(CvatRefused):
            await scene.write()
        assert scene.cvat.contents().total() == 7
        await scene.write()  # somebody put the label right, and tried again
        assert scene.cvat.contents() == ALL
        assert await scene.ledger_ids() == scene.ids()

    asyncio.run(story())


def test_a_run_stops_between_two_chunks_and_goes_on_there(scene: Scene) -> None:
    async def story() -> None:
        await scene.begin()
        scene.stop_after = 2
        with pytest.raises(RunEnds):
            await scene.write()
        assert scene.cvat.contents().total() == 14
        scene.stop_after = None
        await scene.write()
        assert scene.cvat.contents() == ALL

    asyncio.run(story())


def test_a_second_run_keeps_what_is_the_same_and_deletes_the_rest(scene: Scene) -> None:
    async def story() -> None:
        scene.cvat.add({"shapes": [{**shape(0, 0), "source": "manual"}], "tags": []})
        people = scene.ids()
        await scene.begin()
        await scene.write()
        first = scene.ids() - people
        second = {frame: [*(shape(frame, n) for n in range(EACH - 2)), tag(frame)] for frame in FRAMES}
        await scene.begin(second)
        desk = await scene.write()
        assert people <= scene.ids()
        assert scene.ids() - people < first
        assert desk.tally.to_json() == {"shapes_kept": 16, "shapes_deleted": 8}
        assert await scene.ledger_ids() == scene.ids() - people

    asyncio.run(story())


def test_frames_that_were_set_aside_keep_what_they_had(scene: Scene) -> None:
    async def story() -> None:
        await scene.begin()
        await scene.write()
        await scene.begin({0: [shape(0, 9)]})
        desk = await scene.desk()
        await desk.write([0])
        await desk.settle([0])
        frames = Counter(s["frame"] for s in scene.cvat.shapes.values())
        assert frames == {0: 1, 1: EACH, 2: EACH, 3: EACH}

    asyncio.run(story())
