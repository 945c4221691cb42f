"""docs/cluster.md from what `make test-cluster` and `make bench-cluster` left: it says nothing that was not seen.

python -m benchmarks.cluster.page writes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "cluster" / "results"
PAGE = ROOT / "docs" / "cluster.md"
WAITS = """Two waits are none of the model's: Knative has to notice the request and ask for a pod, and nobody can call
that pod before the kubelet has told its address. A predictor that is ready sooner waits for that."""
KINDS = {
    "rest": "Kelp, REST",
    "grpc": "Kelp, gRPC",
    "stock": "a stock kserve predictor, same ONNX file",
    "script": "container start + bare script in Kelp's image",
}
PARTS = {
    "scheduling": "until its pod is made and has a node",
    "container start": "until its process begins",
    "weights": "weights (a volume: mounted with the container)",
    "import": "interpreter and imports",
    "load": "load and verify",
    "warm-up": "warm-up",
    "its own start": "imports, load, and what else it does",
    "until its address is known": "ready, but the kubelet has not told its address yet",
    "until it is asked": "until the gateway's request arrives",
    "first prediction": "prediction",
}
INTRODUCTION = Path(__file__).with_name("introduction.md")


def write_page() -> None:
    PAGE.write_text(render(_read("test-cluster"), _read("bench-cluster")), encoding="utf-8")


def render(tests: Mapping[str, Any], bench: Mapping[str, Any]) -> str:
    """The page, Markdown."""
    lines = [INTRODUCTION.read_text(encoding="utf-8")]
    lines += _tests(tests) if tests else []
    lines += _bench(bench) if bench else []
    return "\n".join(lines) + "\n"


def _tests(found: Mapping[str, Any]) -> list[str]:
    rows = found["tests"].values()
    passed = sum(row["outcome"] == "passed" for row in rows)
    lines = [
        "## What is proved",
        "",
        f"{passed} of {len(rows)} passed. {_where(found)}",
        "",
        "| what | outcome | seconds |",
        "|---|---|---|",
    ]
    lines += [f"| {_cell(row['proves'])} | {_outcome(row)} | {row['seconds']:g} |" for row in rows]
    lines += ["", "| measured meanwhile | |", "|---|---|"]
    lines += [f"| {_cell(name)} | {_value(figure)} |" for name, figure in found["figures"].items()]
    return [*lines, ""]


def _bench(found: Mapping[str, Any]) -> list[str]:
    figures = found["figures"]
    lines = ["## Cold starts, taken apart", "", _where(found), ""]
    lines += ["Medians in seconds, from the request to its answer, the model's image being on the node.", ""]
    kinds = [kind for kind in KINDS if f"cold start, {kind}: total" in figures]
    lines += [f"| | {' | '.join(KINDS[kind] for kind in kinds)} |", "|---|" + "---|" * len(kinds)]
    for part, words in {**PARTS, "total": "**altogether**"}.items():
        cells = [figures.get(f"cold start, {kind}: {part}") for kind in kinds]
        if any(cells):
            shown = [f"{cell['value']:.2f}" if cell else "" for cell in cells]
            lines.append(f"| {words} | {' | '.join(shown)} |")
    lines += [""]
    for name, ratio in figures.items():
        if name.startswith("cold start, rest: against "):
            goal = f" (goal ≤ {ratio['goal']:g}×)" if "goal" in ratio else ""
            lines.append(f"- REST {name.removeprefix('cold start, rest: ')}: {ratio['value']:.2f}×{goal}.")
    lines += ["", WAITS]
    lines += ["", "## The way to a model that is awake", "", "| way | median |", "|---|---|"]
    ways = {name.removeprefix("warm, "): figure for name, figure in figures.items() if name.startswith("warm, ")}
    lines += [
        f"| {way} | {figure['value']:.1f} ms |" for way, figure in sorted(ways.items(), key=lambda e: e[1]["value"])
    ]
    lines += ["", "## REST beside gRPC", "", "| | REST | gRPC |", "|---|---|---|"]
    for words, name in (
        ("latency, one at a time", "latency"),
        ("throughput, 4 at once", "throughput, 4 at once"),
        ("p99, 4 at once", "p99, 4 at once"),
    ):
        cells = [figures.get(f"{protocol}: {name}") for protocol in ("rest", "grpc")]
        lines.append(f"| {words} | {' | '.join(_value(cell) if cell else '' for cell in cells)} |")
    totals = [figures.get(f"cold start, {kind}: total") for kind in ("rest", "grpc")]
    lines.append(f"| cold start | {' | '.join(_value(cell) if cell else '' for cell in totals)} |")
    return [*lines, ""]


def _where(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    said = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"Run at commit `{machine['commit']}` on {said}; {machine['processor']}, {machine['cores']} cores, "
        f"load {machine['load'][0]} at the start."
    )


def _outcome(row: Mapping[str, Any]) -> str:
    return row["outcome"] if row["outcome"] == "passed" else f"**{row['outcome']}**"


def _value(figure: Mapping[str, Any]) -> str:
    of = f" of {figure['of']:g}" if "of" in figure else ""
    count = len(figure["samples"])
    return f"{figure['value']:.3g} {figure['unit']}{of}" + (f" (median of {count})" if count > 1 else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _read(name: str) -> Any:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


if __name__ == "__main__":
    write_page()
