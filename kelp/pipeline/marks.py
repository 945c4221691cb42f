"""How a pipeline knows again what it made: marks in fields of CVAT that mean nothing to CVAT.

A project carries its mark as its bug tracker, a webhook at the end of its description. What carries no mark belongs to
people: such a webhook is never changed, such a project never deleted. Whoever removes a mark makes a thing theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_DESCRIPTION = 128  # of a webhook; CVAT takes no longer one
_KEY = r"[a-z0-9](?:[-a-z0-9]{0,30}[a-z0-9])?"
KEY_PATTERN = rf"^{_KEY}$"
_MARK = re.compile(rf"kelp:pipeline/({_KEY})/({_KEY})(?:/({_KEY}))?")


@dataclass(frozen=True, slots=True)
class Mark:
    """webhook: "" for a project's own."""

    pipeline: str
    project: str
    webhook: str = ""

    def __str__(self) -> str:
        parts = (self.pipeline, self.project, self.webhook)
        return "kelp:pipeline/" + "/".join(part for part in parts if part)


def mark_of_project(bug_tracker: str) -> Mark | None:
    """The mark that is the whole field, if it is one."""
    match = _MARK.fullmatch(bug_tracker.strip())
    return Mark(match[1], match[2]) if match and not match[3] else None


def mark_of_webhook(description: str) -> Mark | None:
    """The mark in brackets at its end."""
    match = re.search(rf"\[{_MARK.pattern}\]$", description.strip())
    return Mark(match[1], match[2], match[3]) if match and match[3] else None


def marked(text: str, mark: Mark) -> str:
    """`text`, cut to what CVAT holds, with the mark behind it."""
    tail = f"[{mark}]"
    room = LONGEST_DESCRIPTION - len(tail) - 1
    return f"{text[:room].strip()} {tail}".strip()
