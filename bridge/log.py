"""Logs for machines (one JSON object a line) or for people (text), on stderr. Nothing secret is ever passed to them."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

_OWN = logging.getLogger("kelp.bridge")


def configure(level: str, style: str) -> None:
    """Send every logger of this process to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _OWN.setLevel(level.upper())


def event(name: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """Log `name` (snake_case) with its fields. `error` adds its type and text, and at level ERROR its traceback."""
    if _OWN.isEnabledFor(level):
        if error is not None:
            fields["error"] = f"{type(error).__name__}: {error}"
        trace = error if level >= logging.ERROR else None
        _OWN.log(level, name, extra={"fields": fields}, exc_info=trace)


def announce(name: str, **fields: Any) -> None:
    """Log `name` whatever the level: whoever started the process waits for it."""
    record = _OWN.makeRecord(_OWN.name, logging.INFO, "", 0, name, (), None, extra={"fields": fields})
    _OWN.handle(record)


def boundary(place: str, **fields: Any) -> None:
    """Log (debug) that a run passed a point at which a crash must lose nothing; tests kill the process there."""
    event("boundary", level=logging.DEBUG, at=place, **fields)


async def survive(work: Callable[[], Awaitable[None]]) -> None:
    """Run something that never ends; should it fail all the same, say so and begin it again."""
    while True:
        try:
            await work()
            return
        except Exception as error:  # one fault must not end what everybody relies on
            event("background_failed", level=logging.ERROR, work=getattr(work, "__qualname__", "?"), error=error)
            await asyncio.sleep(1.0)


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.name != _OWN.name:
            line["logger"] = record.name
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        fields = " ".join(f"{k}={v}" for k, v in getattr(record, "fields", {}).items())
        text = f"{when} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text
