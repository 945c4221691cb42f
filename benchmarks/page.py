"""docs/performance.md from the JSON of a run: the page says nothing that was not measured."""

from __future__ import annotations

import statistics
from typing import Any

INTRODUCTION = """# Performance

Made by `make bench` from `benchmarks/results/latest.json`, which holds every sample. Ratios have their two sides
interleaved in one run, so the machine's mood cancels out; absolute figures are this machine's.
"""


def render(result: dict[str, Any]) -> str:
    """The page, Markdown."""
    machine = result["machine"]
    lines = [
        INTRODUCTION,
        f"Measured at commit `{machine['commit']}` on {machine['processor']}, {machine['cores']} cores, Python "
        f"{machine['python']}; load {machine['load'][0]} at the start; calibration {machine['calibration_s']} s "
        f"(where the absolute targets were set: {machine['reference_calibration_s']} s).",
        "",
    ]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in result["rows"]:
        groups.setdefault(row["group"], []).append(row)
    for group, rows in groups.items():
        lines += [f"## {group}", "", "| what | figure | must be | | ours | theirs |", "|---|---|---|---|---|---|"]
        lines += [_line(row) for row in rows]
        notes = [f"- {row['name']}: {row['note']}" for row in rows if row["note"]]
        lines += ["", *notes, ""] if notes else [""]
        for row in rows:
            if row["parts"]:
                parts = ", ".join(f"{name} {value:.3g}" for name, value in row["parts"].items())
                lines += [f"Parts of “{row['name']}” ({row['unit']}): {parts}.", ""]
    missed = [row["name"] for row in result["rows"] if not row["passes"]]
    lines += ["## Missed", "", *([f"- {name}" for name in missed] or ["Nothing."]), ""]
    if result.get("failed"):
        lines += ["## Not measured", "", *(f"- {name}: {why}" for name, why in result["failed"].items()), ""]
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    sign = "≥" if row["higher_is_better"] else "≤"
    suffix = "×" if row["kind"] == "ratio" else f" {row['unit']}"
    goal = f" (goal {row['goal']:g}{suffix})" if row["goal"] is not None else ""
    verdict = "yes" if row["passes"] else "**no**"
    what = row["name"] + (f", against {row['against']}" if row["against"] else "")
    return (
        f"| {what} | {row['value']:.3g}{suffix} | {sign} {row['target']:g}{suffix}{goal} | {verdict} "
        f"| {_median(row['ours'], row['unit'])} | {_median(row['theirs'], row['unit'])} |"
    )


def _median(samples: list[float], unit: str) -> str:
    return f"{statistics.median(samples):.3g} {unit} (n={len(samples)})" if samples else ""
