"""Every delivery that was recorded from a real CVAT, with what its headers say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parents[1] / "recordings"
SECRET = b"webhook-secret-for-tests"


@dataclass(frozen=True)
class Recorded:
    """`place`: file and number; `signature`: the header, if there was one."""

    place: str
    raw: bytes
    signature: str | None

    @property
    def payload(self) -> Any:
        return json.loads(self.raw)


def conversations() -> Iterator[Recorded]:
    """Deliveries among the recorded conversations; those with a signature have SECRET."""
    for path in sorted((RECORDINGS / "http").glob("*.json")):
        for exchange in json.loads(path.read_text())["exchanges"]:
            if "delivery" in exchange and (raw := exchange["delivery"]["raw"]).startswith("{"):
                headers = exchange["delivery"]["headers"]
                place = f"{path.name[:2]}:{exchange['n']}"
                yield Recorded(place, raw.encode(), headers.get("X-Signature-256"))


def others() -> Iterator[Recorded]:
    """Deliveries of the first session, one a file."""
    for path in sorted((RECORDINGS / "deliveries").glob("*.json")):
        data = json.loads(path.read_text())
        yield Recorded(path.stem, data["raw_body"].encode(), dict(data["headers"]).get("X-Signature-256"))


def by_place(place: str) -> Recorded:
    return next(recorded for recorded in (*conversations(), *others()) if recorded.place == place)
