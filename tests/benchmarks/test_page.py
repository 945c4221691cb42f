"""The page on performance says what was measured, and nothing else."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import PAGE, RESULT, ROOT
from benchmarks.page import render
from benchmarks.row import Row

MACHINE = {
    "commit": "abc", "python": "3.11", "system": "Linux", "processor": "made up", "cores": 2, "load": [0.5, 0.4, 0.3],
    "calibration_s": 0.15, "reference_calibration_s": 0.15,
}  # fmt: skip


def page_of(*rows: Row, **more: object) -> str:
    return render({"machine": MACHINE, "rows": [row.to_json() for row in rows], "failed": {}, **more})


def test_the_page_is_what_the_results_say() -> None:
    if not RESULT.exists() and not PAGE.exists():
        pytest.skip("`make bench` has not been run: neither results nor page are here")
    assert RESULT.exists(), f"{PAGE.relative_to(ROOT)} without the results it was made from"
    assert PAGE.exists(), f"{RESULT.relative_to(ROOT)} without its page"
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == render(result), "the page was edited by hand: run `make bench`"


def test_a_row_that_misses_is_listed_as_missed() -> None:
    slow = Row("g", "slow one", 1.3, 1.05, False, "s", [1.3], [1.0])
    quick = Row("g", "quick one", 12.0, 10.0, True, "s", [0.1], [1.2])
    missed = page_of(slow, quick).split("## Missed", 1)[1]
    assert "slow one" in missed
    assert "quick one" not in missed


def test_what_could_not_be_measured_is_on_the_page() -> None:
    assert "the server did not start" in page_of(failed={"serving": "the server did not start"})


@pytest.mark.parametrize(
    ("value", "target", "higher_is_better", "passes"),
    [
        (1.05, 1.05, False, True),
        (1.06, 1.05, False, False),
        (10.0, 10.0, True, True),
        (9.9, 10.0, True, False),
        (0, 0, False, True),  # nothing lost
        (1, 0, False, False),
    ],
)
def test_a_target_is_met_or_not(value: float, target: float, higher_is_better: bool, passes: bool) -> None:
    row = Row("g", "n", value, target, higher_is_better, "s", [value])
    assert row.passes is passes
    assert ("| yes |" in page_of(row)) is passes
