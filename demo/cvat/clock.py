"""Dates as CVAT writes them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

_lock = threading.Lock()
_last = datetime.min.replace(tzinfo=UTC)


def text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def now() -> str:
    """The time of the day, never the same twice: what changed can always be told by its date."""
    global _last
    with _lock:
        moment = max(datetime.now(UTC), _last + timedelta(microseconds=1))
        _last = moment
    return text_of(moment)


def parse(text: str) -> datetime:
    """`text` as a date; raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def later(text: str, **delta: float) -> str:
    return text_of(parse(text) + timedelta(**delta))
