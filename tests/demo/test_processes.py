"""A part of the demo that dies is named with its log; what the shell has set for another Kelp stays out of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from demo.show.processes import Processes
from demo.show.stage import get_json

NOBODY = "http://127.0.0.1:9/"


def test_a_server_that_died_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("kelp-up", [sys.executable, "-c", "print('[/] no room'); raise SystemExit(7)"], {})
        with pytest.raises(RuntimeError, match=r"kelp-up ended with 7:\n\[/\] no room"):
            processes.wait_until("it answers", lambda: bool(get_json(NOBODY)))


def test_settings_of_the_shell_do_not_reach_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KELP_BUDGET", "1Mi")
    script = "import os; print(sorted(k for k in os.environ if k.startswith('KELP_')), flush=True)"
    with Processes(tmp_path) as processes:
        processes.start("up", [sys.executable, "-c", script], {"KELP_PORT": "1"})
        with pytest.raises(RuntimeError, match=r"\['KELP_PORT'\]"):
            processes.wait_until("never", lambda: False)
