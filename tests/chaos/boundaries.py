"""The places at which a run may be killed, as the source names them, and the ways a test gets there."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BRIDGE = Path(__file__).parents[2] / "bridge"


@dataclass(frozen=True)
class Place:
    """The `nth` passing of boundary `at` with `fields`, in a first run of a job or in a second one that deletes."""

    at: str
    nth: int = 1
    fields: dict[str, Any] = field(default_factory=dict)
    second_run: bool = False

    def __str__(self) -> str:
        return "-".join([self.at, *map(str, self.fields.values()), *([str(self.nth)] if self.nth > 1 else [])])


def in_the_source() -> set[str]:
    """Every boundary that the bridge's code names."""
    found = set()
    for file in BRIDGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _name(node.func) == "boundary":
                first = node.args[0]
                assert isinstance(first, ast.Constant), f"{file}:{node.lineno}: a boundary needs a literal name"
                found.add(first.value)
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


# Each boundary once: where one is passed several times, its second passing, with work done and work left.
ONCE = (
    Place("run_accepted"),
    Place("run_claimed"),
    Place("job_read"),
    Place("step_done", fields={"step": "read"}),
    Place("frames_stored", nth=2),
    Place("chunk_open", nth=2),
    Place("chunk_answered", nth=2),
    Place("chunk_closed", nth=2),
    Place("step_done", fields={"step": "annotate"}),
    Place("before_delete", second_run=True),
    Place("deleted", second_run=True),
    Place("delete_closed", second_run=True),
    Place("step_done", fields={"step": "settle"}),
    Place("run_ended"),
)
# The same of a run that makes a task of several frames.
TASKS = (
    Place("run_accepted"),
    Place("run_claimed"),
    Place("task_read"),
    Place("step_done", fields={"step": "read"}),
    Place("output_wanted"),
    Place("output_created"),
    Place("output_kept"),
    Place("frame_made", nth=2),
    Place("frame_uploaded", nth=2),
    Place("frame_kept", nth=2),
    Place("step_done", fields={"step": "make"}),
    Place("output_filled"),
    Place("output_sent"),
    Place("step_done", fields={"step": "complete"}),
    Place("output_finished"),
    Place("step_done", fields={"step": "settle"}),
    Place("run_ended"),
)
# Every other passing of them in the usual run of three requests.
MORE = tuple(
    Place(at, nth) for at in ("frames_stored", "chunk_open", "chunk_answered", "chunk_closed") for nth in (1, 3)
)
