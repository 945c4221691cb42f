"""The one decision of write-back: over second runs, crashes and people's edits, nothing is lost and nothing doubled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.writeback.content import contents_of
from bridge.writeback.plan import Owned, Plan, Present, Sent, Wanted, plan

# Few kinds of shapes, so that equal ones meet often: label, left edge, top edge.
SHAPES = st.tuples(st.sampled_from([1, 2]), st.sampled_from([0, 100, 200]), st.sampled_from([0, 100]))
FOUND = st.lists(SHAPES, max_size=6)


def shape(kind: tuple[int, int, int], **changed: Any) -> dict[str, Any]:
    label, x, y = kind
    points = [x, y, x + 50, y, x + 50, y + 40, x, y + 40]
    return {"type": "polygon", "frame": 0, "label_id": label, "points": points, "source": "auto", **changed}


def content(body: dict[str, Any]) -> bytes:
    return contents_of([body], {})[0]


@dataclass
class Job:
    """A job as CVAT keeps it, and the ledger beside it."""

    shapes: dict[int, dict[str, Any]] = field(default_factory=dict)
    ledger: dict[int, bytes] = field(default_factory=dict)
    next_id: int = 1

    def add(self, body: dict[str, Any]) -> int:
        self.next_id += 1
        self.shapes[self.next_id] = body
        return self.next_id

    def look(self, before: frozenset[int] = frozenset()) -> list[Present]:
        # In no order that means anything.
        return [Present(i, content(b), b, i not in before) for i, b in sorted(self.shapes.items(), key=lambda s: -s[0])]

    def plan(self, wanted: list[Wanted], before: frozenset[int] = frozenset(), **options: Any) -> Plan:
        return plan(wanted, [Owned(i, c) for i, c in self.ledger.items()], self.look(before), **options)

    def run(self, kinds: list[tuple[int, int, int]], **options: Any) -> Plan:
        """A whole run that nothing disturbs."""
        bodies = [shape(kind) for kind in kinds]
        decided = self.plan([Wanted(content(b), b) for b in bodies], frozenset(self.shapes), **options)
        self.renumber(decided)
        for number in decided.create:
            self.ledger[self.add(bodies[number])] = content(bodies[number])
        for id_ in decided.delete:
            del self.shapes[id_]
            del self.ledger[id_]
        return decided

    def renumber(self, decided: Plan) -> None:
        for old, new in decided.renumbered.items():
            assert new not in self.ledger, "a shape that has its line already is given another"
            self.ledger[new] = self.ledger.pop(old)

    def put(self) -> None:
        """Another client's PUT of what it read: every shape gets a new id."""
        bodies = list(self.shapes.values())
        self.shapes.clear()
        for body in bodies:
            self.add(body)

    def contents(self) -> Counter[bytes]:
        return Counter(content(body) for body in self.shapes.values())


def counted(kinds: list[tuple[int, int, int]]) -> Counter[bytes]:
    return Counter(content(shape(kind)) for kind in kinds)


PEOPLES = st.lists(SHAPES, max_size=3)


def with_people(kinds: list[tuple[int, int, int]]) -> tuple[Job, Counter[bytes]]:
    job = Job()
    ids = [job.add(shape(kind, source="manual")) for kind in kinds]
    return job, Counter(content(job.shapes[id_]) for id_ in ids)


@given(FOUND, PEOPLES)
def test_a_first_run_adds_all_and_touches_nothing(found: list[Any], people: list[Any]) -> None:
    job, theirs = with_people(people)
    decided = job.run(found)
    assert decided.create == list(range(len(found)))
    assert decided.delete == []
    assert job.contents() == counted(found) + theirs


@given(FOUND, FOUND, PEOPLES)
def test_a_second_run_leaves_what_it_found_and_what_people_drew(
    first: list[Any], second: list[Any], people: list[Any]
) -> None:
    job, theirs = with_people(people)
    job.run(first)
    decided = job.run(second)
    assert job.contents() == counted(second) + theirs
    # What is the same stays, with its id.
    assert len(decided.create) == (counted(second) - counted(first)).total()
    assert len(decided.delete) == (counted(first) - counted(second)).total()
    assert not job.run(second).create


@given(FOUND, FOUND, PEOPLES)
def test_so_it_does_after_another_clients_put(first: list[Any], second: list[Any], people: list[Any]) -> None:
    job, theirs = with_people(people)
    job.run(first)
    job.put()
    job.run(second)
    assert job.contents() == counted(second) + theirs
    assert set(job.ledger) <= set(job.shapes)


@given(FOUND, FOUND)
def test_adding_takes_nothing_away_and_doubles_nothing(first: list[Any], second: list[Any]) -> None:
    job = Job()
    job.run(first)
    decided = job.run(second, replace=False)
    assert decided.delete == []
    assert job.contents() == counted(first) | counted(second)


EDITS = st.sampled_from(
    [
        {"label_id": 9},
        {"points": [300, 300, 350, 300, 350, 340]},
        {"occluded": True},
        {"attributes": [{"spec_id": 1, "value": "x"}]},
        {"source": "manual"},
        {"group": 5},
        {"rotation": 4.0},
        {"type": "polyline"},
    ]
)


@given(st.lists(SHAPES, min_size=1, max_size=5), FOUND, EDITS, st.data())
def test_what_a_person_changed_stays_as_it_is(
    first: list[Any], second: list[Any], edit: dict[str, Any], data: st.DataObject
) -> None:
    job = Job()
    job.run(first)
    changed = data.draw(st.sets(st.sampled_from(sorted(job.shapes)), min_size=1))
    for id_ in changed:
        job.shapes[id_] = {**job.shapes[id_], **edit}
    edited = {id_: job.shapes[id_] for id_ in changed}
    decided = job.run(second)
    assert {id_: job.shapes.get(id_) for id_ in changed} == edited
    assert sorted(decided.touched) == sorted(changed)
    # Everything else is what the second run found, what lies on an edited shape aside.
    rest = Counter(content(body) for id_, body in job.shapes.items() if id_ not in changed)
    covered = Counter(content(shape(second[number])) for number in decided.covered)
    assert rest + covered == counted(second)


@given(st.lists(SHAPES, min_size=1, max_size=4, unique=True))
def test_nothing_new_is_put_on_a_shape_whose_label_a_person_put_right(found: list[Any]) -> None:
    job = Job()
    job.run(found)
    for id_, body in job.shapes.items():
        job.shapes[id_] = {**body, "label_id": 9, "points": [value + 1 for value in body["points"]]}
    decided = job.run(found)
    assert decided.covered == list(range(len(found)))
    assert len(job.shapes) == len(found)


@given(FOUND, st.data())
def test_what_a_person_deleted_of_ours_is_not_missed(found: list[Any], data: st.DataObject) -> None:
    job = Job()
    job.run(found)
    for id_ in data.draw(st.sets(st.sampled_from(sorted(job.shapes))) if job.shapes else st.just(set())):
        del job.shapes[id_]
    job.run(found)
    assert job.contents() == counted(found)


@settings(max_examples=300)
@given(FOUND, FOUND, PEOPLES, st.data())
def test_after_a_crash_at_any_point_the_job_is_as_if_there_had_been_none(
    earlier: list[Any], found: list[Any], people: list[Any], data: st.DataObject
) -> None:
    """Chunks answered, one in doubt (all of it there, or nothing), the rest never sent; others' look like ours."""
    job = Job()
    theirs = Counter(content(job.shapes[job.add(shape(kind))]) for kind in people)
    job.run(earlier)
    before = frozenset(job.shapes)
    bodies = [shape(kind) for kind in found]
    to_create = job.plan([Wanted(content(b), b) for b in bodies], before).create
    answered = data.draw(st.integers(0, len(to_create)))
    doubtful = data.draw(st.integers(answered, len(to_create)))
    for number in to_create[:answered]:
        job.ledger[job.add(bodies[number])] = content(bodies[number])
    if data.draw(st.booleans()):
        for number in to_create[answered:doubtful]:
            job.add(bodies[number])  # it arrived, and nobody wrote that down
    sent = dict.fromkeys(to_create[:answered], Sent.ANSWERED) | dict.fromkeys(
        to_create[answered:doubtful], Sent.IN_DOUBT
    )
    wanted = [
        Wanted(content(b), b, sent.get(n, Sent.NEVER), int(sent.get(n) is Sent.IN_DOUBT)) for n, b in enumerate(bodies)
    ]
    decided = job.plan(wanted, before)
    for number in decided.create:
        job.add(bodies[number])
    for id_ in decided.delete:
        del job.shapes[id_]
    assert job.contents() == counted(found) + theirs


@given(st.lists(SHAPES, min_size=1, max_size=5), st.integers(1, 3), st.integers(0, 3), PEOPLES)
def test_sendings_that_arrive_late_are_taken_away_again(
    found: list[Any], unanswered: int, late: int, people: list[Any]
) -> None:
    job, theirs = with_people(people)
    before = frozenset(job.shapes)
    bodies = [shape(kind) for kind in found]
    for body in bodies:
        job.ledger[job.add(body)] = content(body)
    for body in bodies * min(late, unanswered):
        job.add(body)
    decided = job.plan([Wanted(content(b), b, Sent.ANSWERED, unanswered) for b in bodies], before, replace=False)
    for id_ in decided.delete:
        del job.shapes[id_]
    assert not decided.create
    assert job.contents() == counted(found) + theirs


@given(FOUND, FOUND, FOUND)
def test_another_models_shapes_are_not_ours(theirs: list[Any], first: list[Any], second: list[Any]) -> None:
    job = Job()
    other = {job.add(shape(kind)) for kind in theirs}
    bodies = [shape(kind) for kind in first]
    for body in bodies:
        job.ledger[job.add(body)] = content(body)
    for id_ in sorted(job.ledger)[:2]:
        del job.shapes[id_]  # by a person: the other model's, which look alike, are no replacement
    job.run(second, foreign=other)
    assert other <= set(job.shapes)
    assert job.contents() == counted(theirs) + counted(second)
