"""Other people's clients must work unchanged: kserve's for REST and gRPC, and tritonclient's for both.

Each runs in a process of its own: both put a protobuf package of the same name into the one default pool.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

APART = Path(__file__).parent / "apart"


@pytest.mark.parametrize(
    ("package", "checks"), [("kserve", "kserve_clients.py"), ("tritonclient", "triton_clients.py")]
)
def test_clients(server, package, checks):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    facts = {"url": server.url, "grpc": server.grpc, "rest_port": server.ports["rest"], "name": server.name}
    environment = {**os.environ, "KELP_TEST_SERVER": json.dumps({**facts, "card": server.card})}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(APART / checks), "--timeout=120"],
        env=environment, cwd=APART.parents[2], capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
