"""Following a run of the bridge to its end."""

from __future__ import annotations

import json
import time
from typing import Any

from kelp.cli.exits import FAILED, OK
from kelp.cli.output import print_columns, say
from kelp.cli.servers import Bridge
from kelp.errors import Unreachable

FINISHED = frozenset({"completed", "completed_with_errors", "failed", "cancelled", "skipped"})
GOOD = frozenset({"completed", "skipped"})
_UNDONE = {"failed": "had failed", "cancelled": "was cancelled", "skipped": "was skipped"}
_PATIENCE_S = 60.0  # with a bridge that restarts
_FIRST_PATIENCE_S = 15.0  # with one that was never seen: it may just be starting, or the address is wrong


def follow(bridge: Bridge, run_id: str) -> dict[str, Any]:
    """Show a run's progress until it ends, over restarts of the bridge too; gives its last view."""
    from kelp.cli.progress import counting

    run = _first_view(bridge, run_id)
    with counting(_headline(run), run["frames"]["total"]) as bar:
        shown = 0
        gone_since: float | None = None
        while run["state"] not in FINISHED:
            try:
                for event, data in bridge.events(f"/api/v1/runs/{run_id}/events"):
                    gone_since = None
                    if event not in {"run", "end"}:
                        continue
                    run = json.loads(data)
                    done = run["frames"]["done"] + run["frames"]["set_aside"]
                    bar.expect(run["frames"]["total"])
                    bar.done(done - shown)
                    bar.note(_headline(run))
                    shown = done
                run = bridge.get(f"/api/v1/runs/{run_id}")
            except Unreachable:
                gone_since = gone_since or time.monotonic()
                if time.monotonic() - gone_since > _PATIENCE_S:
                    raise
                bar.note("the bridge is away; waiting for it")
                time.sleep(1.0)
    return run


def _first_view(bridge: Bridge, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + _FIRST_PATIENCE_S
    while True:
        try:
            run: dict[str, Any] = bridge.get(f"/api/v1/runs/{run_id}")
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise
            say(f"{error}; trying again")
            time.sleep(1.0)
        else:
            return run


def say_found(asked: dict[str, Any]) -> bool:
    """Say what becomes of equal runs that were there already. Whether all that was asked for is done, or will be."""
    stopping = False
    for run, state in (asked.get("found") or {}).items():
        if state == "cancelling":
            stopping = True
            say(f"run {run} is being cancelled: ask again once it is")
        elif state in _UNDONE:
            say(f"run {run} {_UNDONE[state]}: it is taken up again")
        else:
            told = "; --again does it anew" if state.startswith("completed") else ""
            say(f"run {run} is {state.replace('_', ' ')} already{told}")
    return not stopping


def follow_all(bridge: Bridge, run_ids: list[str]) -> list[dict[str, Any]]:
    """Follow runs one after another, saying how each ended."""
    ended = []
    for run_id in run_ids:
        run = follow(bridge, run_id)
        say(ending(run))
        ended.append(run)
    return ended


def ending(run: dict[str, Any]) -> str:
    """One line about a run that has ended."""
    frames, shapes = run["frames"], run["shapes"]
    if target := run.get("target"):
        made = f"task {target['task']} in project {target['project']}" if target["task"] else "no task"
        counted = f"{frames['done']} frames, {made}"
    else:
        counted = f"{frames['done']} frames, {_shapes(shapes, ' shapes written', ' kept')}"
    aside = f", {frames['set_aside']} frames set aside" if frames["set_aside"] else ""
    return f"run {run['id']} {run['state']}: {run['reason'] + '; ' if run['reason'] else ''}{counted}{aside}"


def exit_code_of(runs: list[dict[str, Any]]) -> int:
    return OK if all(run["state"] in GOOD for run in runs) else FAILED


def print_runs(runs: list[dict[str, Any]], *, wide: bool = False) -> None:
    """Columns, newest first. A run that makes a task is on one as well: `12 → 34`, once that is there."""
    columns = ["RUN", "STATE", "KIND", "MODEL", "JOB", "FRAMES", "SHAPES", "CREATED", "REASON"]
    more = ["TASK", "PROJECT", "CAUSE", "CAUSED BY", "ATTEMPT"] if wide else []
    rows = []
    for run in runs:
        frames = run["frames"]
        total = "?" if frames["total"] is None else frames["total"]
        row = [run["id"], run["state"], run["kind"], run["model"], _subject(run), f"{frames['done']}/{total}"]
        row.append("" if run.get("target") else _shapes(run["shapes"]))
        row += [run["created_at"][:19].replace("T", " "), run["reason"] or run["message"] or _lacking(run)]
        extra = [run["task"], run["project"], run["cause"], run["caused_by"], run["attempt"]] if wide else []
        rows.append([*row, *extra])
    print_columns(columns + more, rows)


def _shapes(shapes: dict[str, int], written: str = "", kept: str = " kept") -> str:
    """Those that a run wrote; those of an earlier run that it found again are there as well."""
    return f"{shapes['written']}{written}" + (f" (+{shapes['kept']}{kept})" if shapes.get("kept") else "")


def _lacking(run: dict[str, Any]) -> str:
    """What the model found and the project has no label for."""
    lacking = run.get("details", {}).get("labels_lacking") or {}
    return "the project lacks: " + ", ".join(f"{name} ({count})" for name, count in lacking.items()) if lacking else ""


def _subject(run: dict[str, Any]) -> str:
    """The job that a run annotates, or the tasks from which and which it makes."""
    if (target := run.get("target")) is None:
        return str(run["job"])
    return f"task {run['task']} → {target['task'] or '?'}"


def _headline(run: dict[str, Any]) -> str:
    message = f": {run['message']}" if run["message"] else ""
    return f"{'' if run.get('target') else 'job '}{_subject(run)} {run['state']}{message}"
