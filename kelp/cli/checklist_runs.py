"""The line of the checklist that asks the bridge: what the model has done on real tasks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kelp.card import Card
from kelp.cli.checklist import Line, State
from kelp.errors import Forbidden, KelpError, Unauthorized, Unreachable

_PAGE, _MOST = 200, 1000
Run = dict[str, Any]


def of_cvat(card: Card) -> Line:
    """Whether a real task was annotated by these weights, whatever else had the card's name before; blocks only where a
    bridge is configured and says that none was."""
    name = card.model_name
    advice = (
        f"annotate a task of yours (`kelp annotate --model {name} --task ID --follow`), look at it in CVAT, check again"
    )
    try:
        runs = _runs(name)
    except Unreachable as error:
        state: State = "missing" if os.environ.get("KELP_BRIDGE_URL") else "warn"
        return Line("CVAT task", state, error.message, "start the bridge (KELP_BRIDGE_URL names it), and check again")
    except (Unauthorized, Forbidden) as error:
        return Line("CVAT task", "missing", error.message, "set KELP_API_TOKEN")
    except KelpError as error:
        return Line("CVAT task", "missing", error.message, advice)
    weights = {role: entry.sha256 for role, entry in card.weights.by_role().items()}
    completed = [run for run in runs if run["state"] == "completed"]
    good = [run for run in completed if _weights_of(run) == weights]
    others = len(completed) - len(good)
    # A run that ended early does not know with what it would have been made.
    bad = [run for run in runs if run["state"] in {"failed", "completed_with_errors"}]
    bad = [run for run in bad if _weights_of(run) in (None, weights)]
    if not good:
        made = f"; {_counted(others)} made with other weights of that name" if others else ""
        last = f"; the last one {bad[0]['state']}: {bad[0]['reason']}" if bad else ""
        return Line("CVAT task", "missing", f"no run of {name} with these weights has completed{made}{last}", advice)
    told = f"{_counted(len(good))} completed{_fullest(good)}"
    if others:
        told += f"; {_counted(others)} made with other weights of that name"
    line = Line("CVAT task", "ok", told)
    if bad and bad[0]["created_at"] > good[0]["created_at"]:
        return replace(line, state="warn", told=f"{told}; the last one {bad[0]['state']}: {bad[0]['reason']}")
    if None in weights.values():
        unknown = f"{told}; whether with these weights, nobody can tell: the card has no sha256 of them"
        return replace(line, state="warn", told=unknown, advice="write `sha256` beside the weights (docs/cards.md)")
    return line


def _runs(model: str) -> list[Run]:
    """The model's runs, newest first."""
    from kelp.cli.servers import bridge

    found: list[Run] = []
    page = None
    with bridge() as called:
        while len(found) < _MOST:
            answer = called.get("/api/v1/runs", model=model, page=page, limit=_PAGE)
            found += answer["runs"]
            page = answer["next"]
            if page is None:
                break
    return found


def _weights_of(run: Run) -> dict[str, str | None] | None:
    """sha256 by role of what the run was made with; None where it ended before that was known."""
    model = (run.get("details") or {}).get("model")
    return None if model is None else model.get("sha256") or {}


def _fullest(runs: Sequence[Run]) -> str:
    best = max(runs, key=_shapes)
    place = f"task {best['task']}" + (f", job {best['job']}" if best.get("job") else "")
    return f", the fullest with {_shapes(best)} shapes ({place})"


def _shapes(run: Run) -> int:
    """Of a run that makes a task there are none."""
    counted = run.get("shapes") or {}
    return int(counted.get("written", 0)) + int(counted.get("kept", 0))


def _counted(runs: int) -> str:
    return f"{runs} run{'' if runs == 1 else 's'}"
