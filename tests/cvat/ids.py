"""Ids differ between two servers: which of ours stands for which recorded one is learned while answers are compared."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from typing import Any

KINDS = {
    "tasks": "task",
    "jobs": "job",
    "projects": "project",
    "webhooks": "webhook",
    "labels": "label",
    "users": "user",
    "organizations": "organization",
}
FIELDS = {
    "task_id": "task",
    "job_id": "job",
    "project_id": "project",
    "webhook_id": "webhook",
    "label_id": "label",
    "parent_id": "label",
    "spec_id": "attribute",
    "assignee": "user",
    "assignee_id": "user",
    "organization": "organization",
    "org_id": "organization",
    "data": "data",
    "target_id": "task",
    "data-label-id": "label",
}
LISTS = {
    "attributes": "attribute",
    "sublabels": "label",
    "shapes": "shape",
    "elements": "shape",
    "tags": "tag",
    "tracks": "track",
    "tracked": "tracked shape",
    "owner": "user",
    "sender": "user",
    "organization_info": "organization",
}
"""What the `id` of an object is the id of, by the field that holds it."""
_IN_URL = re.compile(rf"/(?P<kind>{'|'.join(KINDS)})/(?P<id>\d+)|(?P<field>\w+_id)=(?P<number>\d+)")
_IN_SVG = re.compile(r'data-label-id="(\d+)"')
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_DELIVERY = re.compile(r"/deliveries/(\d+)")
OPAQUE = ("key", "uuid", "color", "description", "logo_url", "subtitle", "last_login", "email")
"""Fields whose value is the server's own affair."""


class Mismatch(Exception):
    """What came is not what was recorded."""


class Ids:
    """A one-to-one map of ids for each kind of object."""

    def __init__(self) -> None:
        self._ours: dict[str, dict[int, int]] = defaultdict(dict)
        self._recorded: dict[str, dict[int, int]] = defaultdict(dict)

    def learn(self, kind: str, recorded: int, ours: int) -> None:
        """Pair two ids, or check that they are a pair already."""
        known, back = self._ours[kind].setdefault(recorded, ours), self._recorded[kind].setdefault(ours, recorded)
        if known != ours or back != recorded:
            raise Mismatch(f"{kind} {ours}: recorded {recorded} stands for {known}, {ours} for {back}")

    def ours(self, kind: str, recorded: int) -> int:
        """The id that stands for a recorded one; that one itself where none is known, an id that nobody has."""
        return self._ours[kind].get(recorded, recorded)

    def known(self, kind: str, recorded: int) -> bool:
        return recorded in self._ours[kind]

    def known_ours(self, kind: str, ours: int) -> bool:
        return ours in self._recorded[kind]

    def in_url(self, url: str) -> str:
        """A recorded address as it is to be sent."""

        def replaced(found: re.Match[str]) -> str:
            if found["kind"]:
                return f"/{found['kind']}/{self.ours(KINDS[found['kind']], int(found['id']))}"
            return f"{found['field']}={self.ours(FIELDS.get(found['field'], ''), int(found['number']))}"

        url = _IN_URL.sub(replaced, url)
        return _DELIVERY.sub(lambda found: f"/deliveries/{self.ours('delivery', int(found[1]))}", url)

    def in_query(self, name: str, value: str, kind: str) -> str:
        """A recorded parameter as it is to be sent to a list of `kind`."""
        if name == "filter":
            return self._in_filter(value, kind)
        if name in FIELDS and value.isdigit():
            return str(self.ours(FIELDS[name], int(value)))
        return value

    def _in_filter(self, text: str, kind: str) -> str:
        def replaced(found: re.Match[str]) -> str:
            own = kind if found[2] == "id" else FIELDS.get(found[2], "")
            return f"{found[1]}{self.ours(own, int(found[3]))}"

        return re.sub(r'(\{"var": "(\w+)"\}, )(\d+)', replaced, text)

    def in_body(self, body: Any, inside: str = "") -> Any:
        """A recorded body as it is to be sent."""
        if isinstance(body, dict):
            return {name: self._field(name, value, inside) for name, value in body.items()}
        if isinstance(body, list):
            return [self.in_body(item, inside) for item in body]
        return body

    def _field(self, name: str, value: Any, inside: str) -> Any:
        if isinstance(value, dict | list):
            return self.in_body(value, name)
        kind = LISTS.get(inside) if name == "id" else FIELDS.get(name)
        if kind and isinstance(value, int):
            return self.ours(kind, value)
        return value


def match(
    recorded: Any, ours: Any, ids: Ids, place: str, ignoring: Collection[str] = (), inside: str = "", kind: str = ""
) -> None:
    """Raise Mismatch unless `ours` says what `recorded` says: same keys, same values, ids and dates in their place.

    `kind` is what an `id` found here belongs to, where its surroundings do not say it.
    """
    if isinstance(recorded, dict) and isinstance(ours, dict):
        _match_objects(recorded, ours, ids, place, ignoring, inside, kind)
    elif isinstance(recorded, list) and isinstance(ours, list):
        if inside in ("shapes", "tracks", "elements") and all("id" in row for row in recorded):
            recorded, ours = _aligned(recorded), _aligned(ours)
        if len(recorded) != len(ours):
            raise Mismatch(f"{place}: {len(ours)} items, recorded {len(recorded)}: {ours!r:.400}")
        for index, (one, other) in enumerate(zip(recorded, ours, strict=True)):
            match(one, other, ids, f"{place}[{index}]", ignoring, inside, kind)
    elif isinstance(recorded, str) and isinstance(ours, str):
        _match_texts(recorded, ours, ids, place)
    elif recorded != ours or isinstance(recorded, bool) != isinstance(ours, bool):
        raise Mismatch(f"{place}: {ours!r:.400}, recorded {recorded!r:.400}")


def _match_objects(
    recorded: Any, ours: Any, ids: Ids, place: str, ignoring: Collection[str], inside: str, kind: str
) -> None:
    if list(recorded) != list(ours) and set(recorded) != set(ours):
        differing = sorted(set(recorded) ^ set(ours))
        raise Mismatch(
            f"{place}: keys {differing} are only in {'ours' if set(ours) - set(recorded) else 'the recorded'}"
        )
    if set(recorded) == {"count", "next", "previous", "results"}:
        recorded, ours = _comparable(recorded, ours, ids)
    own = _kind_of(recorded) or LISTS.get(inside) or kind
    for name, value in recorded.items():
        where = f"{place}.{name}"
        other = ours[name]
        if name in ignoring or name in OPAQUE:
            continue
        number = FIELDS.get(name) if name != "id" else own
        if name == "id" and isinstance(value, str):
            number = None
        if number and isinstance(value, int) and isinstance(other, int):
            try:
                ids.learn(number, value, other)
            except Mismatch as mismatch:
                raise Mismatch(f"{where}: {mismatch}") from None
        else:
            within = inside if name == "results" else "tracked" if own == "track" and name == "shapes" else name
            match(value, other, ids, where, ignoring, within, kind or own)


def _kind_of(row: Any) -> str:
    """From an object's own address, or from what only one kind of object has."""
    url = row.get("url")
    if isinstance(url, str) and (found := _IN_URL.search(url)) and found["kind"]:
        return KINDS[found["kind"]]
    for mark, kind in (("changed_fields", "delivery"), ("sublabels", "label"), ("slug", "organization")):
        if mark in row:
            return kind
    return ""


def _key_of(row: Any) -> tuple[str, int]:
    """Kind and id of a row; of a background request those of its task."""
    if "operation" in row:
        return "task", row["operation"]["task_id"]
    return _kind_of(row), row["id"]


def _comparable(recorded: Any, ours: Any, ids: Ids) -> tuple[Any, Any]:
    """Lists over the whole server show what other conversations left: only rows that are known are compared then."""
    if recorded["count"] == ours["count"]:
        return recorded, ours
    keys = [_key_of(row) for row in recorded["results"]]
    one = [row for row, key in zip(recorded["results"], keys, strict=True) if ids.known(*key)]
    two = [row for row in ours["results"] if ids.known_ours(*_key_of(row))]
    if two and not one:
        raise Mismatch(f"count {ours['count']}, recorded {recorded['count']}")
    length = min(len(one), len(two))
    return {"results": one[:length]}, {"results": two[:length]}


def _aligned(rows: list[Any]) -> list[Any]:
    """Within a frame the order of annotations means nothing: sorted by what they are."""

    def key(row: Any) -> tuple[Any, ...]:
        points = tuple(float(value) for value in row.get("points", ()))
        inner = [key(item) for name in ("elements", "shapes") for item in row.get(name, ())]
        return row.get("frame", 0), row.get("type", ""), points, row.get("source", ""), len(inner), row.get("id") or 0

    return sorted(rows, key=key)


def _match_texts(recorded: str, ours: str, ids: Ids, place: str) -> None:
    if _DATE.fullmatch(recorded) and _DATE.fullmatch(ours):
        return
    one, two = list(_IN_URL.finditer(recorded)), list(_IN_URL.finditer(ours))
    for found, other in zip(one, two, strict=False):
        if found["kind"] and found["kind"] == other["kind"]:
            ids.learn(KINDS[found["kind"]], int(found["id"]), int(other["id"]))
        elif found["field"] in FIELDS and found["field"] == other["field"]:
            ids.learn(FIELDS[found["field"]], int(found["number"]), int(other["number"]))
    for number, other_number in zip(_IN_SVG.findall(recorded), _IN_SVG.findall(ours), strict=False):
        ids.learn("label", int(number), int(other_number))
    expected = _IN_SVG.sub(lambda found: f'data-label-id="{ids.ours("label", int(found[1]))}"', ids.in_url(recorded))
    expected = re.sub(
        r"(label_id|spec_id) `(\d+)`",
        lambda found: f"{found[1]} `{ids.ours(FIELDS[found[1]], int(found[2]))}`",
        expected,
    )
    expected = re.sub(r"\(id\)=\((\d+)\)", lambda found: f"(id)=({ids.ours('shape', int(found[1]))})", expected)
    if expected != ours:
        raise Mismatch(f"{place}: {ours!r:.500}, recorded {expected!r:.500}")
