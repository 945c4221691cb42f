"""A part of the demo that dies is named with its log; what the shell has set for another Kelp stays out of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
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


INTERRUPTED = """
import signal
from demo.reef import render
from demo.show.painters import painters

for ending in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(ending, signal.default_int_handler)
try:
    with painters(2) as pool:
        small, large = (pool.submit(render, 40_001, size) for size in (64, 4000))
        try:
            small.result()
            print("one waits, one paints", flush=True)
            large.result()
        finally:
            pool.shutdown(cancel_futures=True)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_who_interrupts_the_rendering_reads_one_line(ending: signal.Signals) -> None:
    """As a terminal does it: all processes of the group are told, the painters among them."""
    demo = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert demo.stdout is not None
    try:
        assert demo.stdout.readline() == "one waits, one paints\n"
        deadline = time.monotonic() + 60
        while True:
            workers = psutil.Process(demo.pid).children()
            if len(workers) == 2 and max(worker.cpu_times().user for worker in workers) > 1:
                break
            assert demo.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(demo.pid, ending)
        said, complaints = demo.communicate(timeout=60)
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()
    assert said == "interrupted\n"
    assert complaints == ""
    assert not any(worker.is_running() for worker in workers)
