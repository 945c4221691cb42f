"""`make bench`: runs the benchmarks named (all by default), writes JSON and page, exits 1 where a row misses.

python -m benchmarks [geometry serving …] [--list]
"""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from benchmarks.machine import REFERENCE_CALIBRATION_S, describe
from benchmarks.page import render
from benchmarks.row import Row

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "performance.md"
MODULES = (
    "geometry",
    "yolo",
    "serving",
    "start",
    "webhooks",
    "writeback",
    "loop",
    "grid",
    "crop",
    "coralscop",
    "models",
    "requests",
    "memory",
)


def main() -> int:
    # Ended from outside, the processes that are measured end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(MODULES)}")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    given = parser.parse_args()
    if unknown := set(given.names) - set(MODULES):
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; there are: {', '.join(MODULES)}")
    if given.list:
        print("\n".join(MODULES))
        return 0
    machine = describe()
    result = _previous() if given.names else {"rows": [], "failed": {}}
    for name in given.names or MODULES:
        print(f"· {name}", flush=True)
        result["rows"] = [row for row in result["rows"] if row["module"] != name]
        result["failed"].pop(name, None)
        try:
            rows: list[Row] = importlib.import_module(f"benchmarks.{name}").run()
        except Exception as error:  # one benchmark that breaks must not cost the others their figures
            traceback.print_exc()
            result["failed"][name] = f"{type(error).__name__}: {error}"
            rows = []
        for row in rows:
            print(f"    {'ok  ' if row.passes else 'MISS'} {row.name}: {row.value:.3g} (target {row.target:g})")
        result["rows"] += [{"module": name, **row.to_json()} for row in rows]
        result["machine"] = machine
        _write(result)
    return _verdict(result)


def _write(result: dict[str, Any]) -> None:
    """After each benchmark, so that one that is broken off costs only itself."""
    result["rows"].sort(key=lambda row: MODULES.index(row["module"]))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(render(result), encoding="utf-8")


def _previous() -> dict[str, Any]:
    if RESULT.exists():
        previous: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8"))
        return previous
    return {"rows": [], "failed": {}}


def _verdict(result: dict[str, Any]) -> int:
    slower = result["machine"]["calibration_s"] > 1.15 * REFERENCE_CALIBRATION_S
    missed = [row for row in result["rows"] if not row["passes"]]
    excused = [row for row in missed if row["kind"] == "absolute" and slower]
    for row in missed:
        word = "warning, slower machine" if row in excused else "missed"
        print(f"{word}: {row['name']}: {row['value']:.3g}, target {row['target']:g}")
    for name, why in result["failed"].items():
        print(f"not measured: {name}: {why}")
    return 1 if len(missed) > len(excused) or result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
