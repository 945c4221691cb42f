"""What `kelp up` says on stderr: one JSON object a line, or text for people. Nothing secret is ever passed to it."""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
from collections.abc import Callable
from typing import Any, Literal

Level = Literal["debug", "info", "warning", "error"]
_ORDER = ("debug", "info", "warning", "error")
_style = "json"
_lowest = "info"
_keep: Callable[[str, str], None] | None = None


def configure(level: Level, style: Literal["json", "text"]) -> None:
    """Set once, at the start of the process."""
    global _style, _lowest
    _style, _lowest = style, level


def keep_with(keep: Callable[[str, str], None]) -> None:
    """From now on `keep` gets what children say: (source, line)."""
    global _keep
    _keep = keep


def event(name: str, *, level: Level = "info", **fields: Any) -> None:
    """Say that `name` (snake_case) happened."""
    if _ORDER.index(level) < _ORDER.index(_lowest):
        return
    now = datetime.datetime.now(datetime.UTC)
    if _style == "json":
        when = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": when, "level": level, "event": name, **fields}, default=str, ensure_ascii=False)
    else:
        told = " ".join(f"{key}={value}" for key, value in fields.items())
        line = f"{now.astimezone():%H:%M:%S} {level:7} {name} {told}".rstrip()
    pass_on(line)


def relay(source: str, line: str) -> dict[str, Any] | None:
    """Pass on a child's line in our own style; gives what it said where that was a JSON object."""
    if _keep is not None:
        _keep(source, line)
    said: dict[str, Any] | None = None
    with contextlib.suppress(ValueError):
        given = json.loads(line)
        said = given if isinstance(given, dict) else None
    if said is None or _style == "json":
        pass_on(line)
    else:
        left_out = {"time", "level", "logger", "message", "event", "model"}
        told = " ".join(f"{key}={value}" for key, value in said.items() if key not in left_out)
        what = said.get("message") or said.get("event") or ""
        pass_on(f"{datetime.datetime.now():%H:%M:%S} {said.get('level', ''):7} {source}: {what} {told}".rstrip())
    return said


def pass_on(line: str) -> None:
    """Write a finished line, whole, also when children write at the same time."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (BrokenPipeError, ValueError):
        # Whoever read our stderr has gone; there is nobody left to tell.
        return
