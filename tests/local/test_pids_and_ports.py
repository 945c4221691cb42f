"""Left-over processes are ended and nobody else's; a taken port is explained."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from kelp.local.pidfiles import PidFiles
from kelp.ports import PortTaken, check_free, is_loopback, listen

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)", "predictors.serving"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEPER)
    yield process
    process.kill()
    process.wait(10)


def orphan(path, **changes) -> None:
    """Rewrite a record as if its owner had gone."""
    record = json.loads(path.read_text()) | {"owner": 2**22 + 1} | changes
    path.write_text(json.dumps(record))


def test_a_left_over_is_ended(tmp_path, sleeper):
    path = PidFiles(tmp_path).write("reef", sleeper.pid, "predictors.serving")
    orphan(path)
    ended = PidFiles(tmp_path).end_left_overs()
    assert [record.name for record in ended] == ["reef"]
    assert not psutil.pid_exists(sleeper.pid)
    assert list(tmp_path.iterdir()) == []


def test_a_child_whose_owner_lives_is_left_alone(tmp_path, sleeper):
    path = PidFiles(tmp_path).write("reef", sleeper.pid, "predictors.serving")
    assert PidFiles(tmp_path).end_left_overs() == []
    assert sleeper.poll() is None
    assert path.exists()


@pytest.mark.parametrize("changes", [{"started": 1.0}, {"module": "bridge"}])
def test_a_pid_that_was_used_again_is_not_touched(tmp_path, sleeper, changes):
    path = PidFiles(tmp_path).write("reef", sleeper.pid, "predictors.serving")
    orphan(path, **changes)
    assert PidFiles(tmp_path).end_left_overs() == []
    assert sleeper.poll() is None
    assert not path.exists()


def test_an_owner_pid_used_again_by_another_process_is_not_the_owner(tmp_path, sleeper):
    path = PidFiles(tmp_path).write("reef", sleeper.pid, "predictors.serving")
    orphan(path, owner=os.getpid(), owner_started=1.0)
    assert len(PidFiles(tmp_path).end_left_overs()) == 1


def test_grandchildren_go_too(tmp_path):
    script = f"import subprocess, sys, time; subprocess.Popen({SLEEPER!r}); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", script, "predictors.serving"])
    try:
        root = psutil.Process(process.pid)
        deadline = time.monotonic() + 20
        while not root.children() and time.monotonic() < deadline:
            time.sleep(0.02)
        grandchild = root.children()[0]
        orphan(PidFiles(tmp_path).write("reef", process.pid, "predictors.serving"))
        PidFiles(tmp_path).end_left_overs()
        assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
    finally:
        process.kill()
        process.wait(10)


def test_a_broken_record_is_dropped(tmp_path):
    (tmp_path / "reef-1.json").write_text("{")
    assert PidFiles(tmp_path).end_left_overs() == []
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_names_port_setting_and_holder():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            listen("127.0.0.1", port, setting="KELP_V2_PORT")
        with pytest.raises(PortTaken):
            check_free("127.0.0.1", port, setting="KELP_V2_GRPC_PORT")
    assert f"port {port} is taken by process {os.getpid()}" in str(caught.value)
    assert "KELP_V2_PORT" in str(caught.value)


def test_a_free_port_is_listened_on():
    with listen("127.0.0.1", 0, setting="KELP_V2_PORT") as sock:
        socket.create_connection(sock.getsockname(), 5).close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("reef.lan", False)],
)
def test_which_addresses_only_this_machine_reaches(host, expected):
    assert is_loopback(host) is expected
