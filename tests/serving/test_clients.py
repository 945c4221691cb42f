"""Other people's software must work unchanged: kserve's clients for REST and gRPC, tritonclient's for both, and
kserve's ModelServer around our model.

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


def run_apart(package: str, checks: str, environment: dict[str, str]) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(APART / checks), "--timeout=120"],
        env={**os.environ, **environment}, cwd=APART.parents[2],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout


@pytest.mark.parametrize(
    ("package", "checks"), [("kserve", "kserve_clients.py"), ("tritonclient", "triton_clients.py")]
)
def test_clients(server, package, checks):
    facts = {"url": server.url, "grpc": server.grpc, "name": server.name, "card": server.card}
    run_apart(package, checks, {"KELP_TEST_SERVER": json.dumps(facts)})


def test_our_model_under_kserves_own_server():
    run_apart("kserve", "kserve_host.py", {})
