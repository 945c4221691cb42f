"""The one function that decides what is written: (wanted, ledger, present) → (create, delete).

It is the same for a first run, after a crash and for a second run, and it changes nothing itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from bridge.writeback.content import Content, are_close, frame_and_label, pair
from bridge.writeback.overlap import is_on


class Sent(Enum):
    """What is known about a wanted shape's way to CVAT."""

    NEVER = "never"
    IN_DOUBT = "in doubt"
    """Sent, and no answer came: it may be there."""
    ANSWERED = "answered"
    """Confirmed. Whatever became of it since, it is never sent again."""


class Wanted(NamedTuple):
    """A shape that the run found. `copies`: how many sendings of it went without an answer and may have arrived."""

    content: Content
    body: Mapping[str, Any]
    sent: Sent = Sent.NEVER
    copies: int = 0


class Owned(NamedTuple):
    """A line of the ledger for this job and model: CVAT's id, and what CVAT answered at its creation."""

    id: int
    content: Content


class Present(NamedTuple):
    """A shape that CVAT holds now. `is_new`: not there when the run first read the job."""

    id: int
    content: Content
    body: Mapping[str, Any]
    is_new: bool = False


@dataclass(slots=True)
class Plan:
    """Numbers are places in `wanted`, `Owned.id`s or `Present.id`s.

    create: wanted, in order; delete: present; kept: wanted → present that already shows it; renumbered: the ledger's id
    → the present one; touched: ours that somebody changed; covered: wanted that would lie on a touched one.
    """

    create: list[int] = field(default_factory=list)
    delete: list[int] = field(default_factory=list)
    kept: dict[int, int] = field(default_factory=dict)
    renumbered: dict[int, int] = field(default_factory=dict)
    touched: list[int] = field(default_factory=list)
    covered: list[int] = field(default_factory=list)


def plan(
    wanted: Sequence[Wanted],
    ledger: Sequence[Owned],
    present: Sequence[Present],
    *,
    foreign: Collection[int] = (),
    replace: bool = True,
) -> Plan:
    """What to create and what to delete, of one kind (shapes, or tags), on the frames that `wanted` speaks for.

    foreign: ids that the ledger gives to other models. replace: False leaves the model's own earlier shapes alone.
    Anything present that is neither in the ledger nor the content of something sent in doubt is a person's: it is never
    in `delete`.
    """
    result = Plan()
    by_id = {shape.id: shape for shape in present}
    untouched: dict[int, Content] = {}
    missing: list[Owned] = []
    touched: list[tuple[Present, Owned]] = []
    claimed = set(foreign)
    for owned in ledger:
        here = by_id.get(owned.id)
        if here is None:
            missing.append(owned)
            continue
        claimed.add(here.id)
        if are_close(here.content, owned.content):
            untouched[here.id] = here.content
        else:
            touched.append((here, owned))

    # Another client's PUT gives every shape a new id: what is gone by id is looked for by content.
    strays = [(shape.id, shape.content) for shape in present if shape.id not in claimed]
    result.renumbered = pair(((owned.id, owned.content) for owned in missing), strays)
    for id_ in result.renumbered.values():
        untouched[id_] = by_id[id_].content
        claimed.add(id_)

    # A chunk in doubt: only what was not there at the first reading can have come from it.
    copies = [number for number, shape in enumerate(wanted) for _ in range(shape.copies)]
    fresh = [(shape.id, shape.content) for shape in present if shape.is_new and shape.id not in claimed]
    arrived = pair(((place, wanted[number].content) for place, number in enumerate(copies)), fresh)
    for id_ in arrived.values():
        untouched[id_] = by_id[id_].content

    # Those confirmed first: a wanted shape that never left must not take the place of one that did.
    free = dict(untouched)
    for sent in (Sent.ANSWERED, Sent.IN_DOUBT, Sent.NEVER):
        asked = [(number, shape.content) for number, shape in enumerate(wanted) if shape.sent is sent]
        for number, id_ in pair(asked, free.items()).items():
            result.kept[number] = id_
            del free[id_]

    result.touched = [here.id for here, _ in touched]
    for number, shape in enumerate(wanted):
        if shape.sent is Sent.ANSWERED or number in result.kept:
            continue
        if touched and _is_covered(shape, touched):
            result.covered.append(number)
        else:
            result.create.append(number)
    # What arrived twice is surplus whatever the mode; earlier shapes go only where they are to be replaced.
    surplus = set(arrived.values())
    result.delete = sorted(id_ for id_ in free if replace or id_ in surplus)
    return result


def _is_covered(shape: Wanted, touched: Sequence[tuple[Present, Owned]]) -> bool:
    """Whether a person has already put right what `shape` says: by its label now, or by the one it was made with."""
    frame, label = frame_and_label(shape.content)
    for here, owned in touched:
        labels = {frame_and_label(here.content)[1], frame_and_label(owned.content)[1]}
        if here.body["frame"] == frame and label in labels and is_on(shape.body, here.body):
            return True
    return False
